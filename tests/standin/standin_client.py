"""A stand-in server in processes of its own."""

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from served import HttpServer

from mmload.serve.engines import start_command


class Server(HttpServer):
    def __init__(self, variant, tp, *extra):
        words = start_command("standin", port=0, tp=tp, variant=variant, args=tuple(extra))
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        first = self.process.stdout.readline()
        if not first:
            raise AssertionError(self.process.stderr.read())
        self.host = urlsplit(first.split()[-1]).netloc
        assert self.process.stdout.readline().startswith("ready"), self.process.stderr.read()
        self.ranks = [psutil.Process(rank["pid"]) for rank in self.info()["mmload"]["ranks"]]
