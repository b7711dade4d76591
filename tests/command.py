"""The command as a user runs it: a process of its own, its exit code, its output and its run folder."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time

import psutil


class Command:
    """`mmload ARGS` in a child process; nothing of it is left when the test ends."""

    def __init__(self, args, folder, **popen):
        self.out = folder / "profiles"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mmload", *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "140"},
            **popen,
        )

    def finish(self, timeout_s=90):
        self.stdout, self.stderr = self.process.communicate(timeout=timeout_s)
        return self

    @property
    def code(self):
        return self.process.returncode

    @property
    def run_folder(self):
        (folder,) = [path for path in self.out.iterdir() if path.is_dir()]
        return folder

    def document(self, name):
        return json.loads((self.run_folder / name).read_text())

    def lines(self, name):
        return [json.loads(line) for line in (self.run_folder / name).read_text().splitlines()]

    def children(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def send(self, number):
        self.process.send_signal(number)

    def until(self, condition, timeout_s=60):
        """Wait for a condition while the command runs."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert self.process.poll() is None, f"it ended: {self.finish().stderr}"
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.05)

    def until_measuring(self, answers=5):
        """Wait until some requests of the measure window have their record."""
        self.until(lambda: self._measured() >= answers)

    def until_profiled(self, processes=1):
        """Wait until py-spy samples so many processes."""
        said = "Sampling process"
        self.until(lambda: sum(said in log.read_text() for log in self.out.glob("*/logs/py-spy-*.log")) >= processes)

    def _measured(self):
        files = list(self.out.glob("*/requests.jsonl"))
        return files[0].read_text().count('"phase":"measure"') if files else 0

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.communicate()


def gone(processes, timeout_s=15):
    """True when all of these processes end within the time."""
    _, alive = psutil.wait_procs(processes, timeout=timeout_s)
    return not [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def ranks(command):
    """The scheduler processes below a command, by rank."""
    found = [child for child in command.children() if "sglang::scheduler" in " ".join(child.cmdline())]
    return sorted(found, key=lambda child: child.cmdline()[0])


def without_the_right_to_ptrace():
    """What a container without SYS_PTRACE is: the capability can't be had any more by what is executed next."""
    pr_capbset_drop, cap_sys_ptrace = 24, 19
    assert ctypes.CDLL(None).prctl(pr_capbset_drop, cap_sys_ptrace, 0, 0, 0) == 0
