"""An `mmload agent` in a process of its own, and what a test sends it."""

import http.client
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from contextlib import suppress
from urllib.parse import urlsplit

import psutil

TOKEN = "a-token-for-tests-5b1f0c7a92d34e68"
TOKEN_VARIABLE = "MMLOAD_AGENT_TOKEN"


class AgentCommand:
    """`mmload agent ARGS`, on another address of the loopback than the driver's. before: what it is started by."""

    def __init__(self, folder, *args, before=(), listen="127.0.0.2:0", token=TOKEN):
        self.log_file = folder / f"agent-{secrets.token_hex(4)}.log"
        self.token = token
        command = [*before, sys.executable, "-m", "mmload", "agent", "--listen", listen, *map(str, args)]
        with self.log_file.open("w") as log:
            environment = {**os.environ, TOKEN_VARIABLE: token}
            self.process = subprocess.Popen(command, stderr=log, stdout=log, cwd=folder, env=environment)
        self.until(lambda: self.url or self.process.poll() is not None)

    @property
    def log(self):
        return self.log_file.read_text()

    @property
    def url(self):
        """None until it listens."""
        found = re.search(r"listening on (\S+)", self.log)
        return found and found[1]

    def until(self, condition, limit_s=30):
        give_up = time.monotonic() + limit_s
        while not (result := condition()):
            assert time.monotonic() < give_up, f"the condition never came true; the agent's log:\n{self.log}"
            time.sleep(0.02)
        return result

    def children(self):
        """Whatever it started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def profilers(self):
        """The py-spies among its children: it asks `uname` for the processor too."""
        found = []
        for child in self.children():
            with suppress(psutil.NoSuchProcess):
                found += [child] if "py-spy" in child.name() else []
        return found

    def send(self, method, path, body=None, headers=None):
        """(status, body) of one request, with the token unless headers say otherwise."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        payload = body if body is None or isinstance(body, bytes) else json.dumps(body)
        given = {"Authorization": f"Bearer {self.token}"} if headers is None else headers
        try:
            connection.request(method, path, payload, given)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def end(self, number=signal.SIGTERM):
        """Returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
        return self.process.wait(30)


# What an agent takes for a server of SGLang: an untitled process that listens and has started ranks; these burn CPU.
SERVER = """
import socket, subprocess, sys

RANK = '''
import sys, threading
from setproctitle import setproctitle
setproctitle(sys.argv[1])
threading.Thread(target=lambda: (sys.stdin.read(), __import__("os")._exit(0)), daemon=True).start()
print(flush=True)

def work():
    return sum(range(1000))

def wait():
    return sum(range(300))

while True:
    work()
    wait()
'''

def start(title):
    rank = subprocess.Popen([sys.executable, "-c", RANK, title], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    rank.stdout.readline()
    return rank

ranks = [start(title) for title in sys.argv[1:]]
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


class TitledServer:
    """Ends, with its ranks, when its standard input does."""

    def __init__(self, *titles):
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *titles], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self.process.pid
        self.port = int(self.process.stdout.readline())

    def end(self):
        for rank in psutil.Process(self.pid).children() if self.process.poll() is None else []:
            rank.resume()
        self.process.communicate()
