"""Real SGLang on the CPU, in processes of its own."""

import json
import os
import subprocess
import time
from pathlib import Path

import psutil
from served import PATIENCE_S, HttpServer

from mmload.serve.client import ServerClient
from mmload.serve.engines import start_command
from mmload.serve.process import free_port

START_S = 240


class SglangServer(HttpServer):
    """Ready when it is made. log: where its output goes. folders: put on its PYTHONPATH."""

    def __init__(self, variant, log, *args, engine="sglang-cpu", tp=2, folders=()):
        port = free_port()
        self.host = f"127.0.0.1:{port}"
        self.log = log
        path = os.pathsep.join([*map(str, folders), *filter(None, [os.environ.get("PYTHONPATH")])])
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                self.command(engine, variant, port, tp, args, path),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_ready()
        tree = [self.process.pid, *(child.pid for child in psutil.Process(self.process.pid).children(recursive=True))]
        self.tree = [psutil.Process(pid) for pid in tree]
        self.ranks = [each for each in self.tree if each.cmdline()[0].startswith("sglang::scheduler")]
        self.ranks.sort(key=lambda rank: rank.cmdline()[0])

    def command(self, engine, variant, port, tp, args, path):
        inherited, os.environ["PYTHONPATH"] = os.environ.get("PYTHONPATH"), path
        try:
            return start_command(engine, port=port, tp=tp, variant=variant, args=tuple(args))
        finally:
            if inherited is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = inherited

    @property
    def url(self):
        return f"http://{self.host}"

    def info(self):
        return json.loads(self.get("/get_server_info")[1])  # the name that all versions know

    def said(self):
        return self.log.read_text(errors="replace")

    def segments(self):
        return sorted(Path("/dev/shm").glob(f"mmload-{self.process.pid}-*"))

    def kill(self):
        for process in self.tree:
            if process.is_running():
                process.kill()
        self.process.wait()

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        psutil.wait_procs(self.tree, PATIENCE_S)

    def _wait_until_ready(self):
        deadline_s = time.monotonic() + START_S
        while not ServerClient(self.url).is_healthy(timeout_s=5.0):
            assert self.process.poll() is None, self.said()[-1500:]
            assert time.monotonic() < deadline_s, f"not ready: {self.said()[-1500:]}"
            time.sleep(0.2)
