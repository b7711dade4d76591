"""Real processes for the samplers to look at. Each ends with its test."""

import subprocess
import sys
import time

import msgspec
import pytest

from mmload.discover import from_pids

BUSY = """
print("ready", flush=True)

def spin():
    while True:
        burn()

def burn():
    return sum(range(1000))

spin()
"""

IDLE = """
import sys
print("ready", flush=True)

def wait_for_ever():
    sys.stdin.read()

wait_for_ever()
"""


@pytest.fixture
def child(tmp_path):
    """Starts Python code and returns its Popen once it has printed a line."""
    children = []

    def start(code, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path
        )
        children.append(process)
        assert process.stdout.readline()
        return process

    yield start
    for process in children:
        process.kill()
        process.communicate()


@pytest.fixture
def busy(child):
    return child(BUSY)


@pytest.fixture
def idle(child):
    return child(IDLE)


@pytest.fixture
def found():
    """The ServerProcess structs of child processes, under names of the test's choice."""

    def find(**children):
        processes = []
        for name, process in children.items():
            (one,) = from_pids([process.pid])
            processes.append(msgspec.structs.replace(one, name=name, role="scheduler", rank=0))
        return processes

    return find


@pytest.fixture
def until():
    """Waits until a condition holds; the limit is for a condition that never does."""

    def wait(condition, limit_s=30):
        give_up = time.monotonic() + limit_s
        while not (result := condition()):
            assert time.monotonic() < give_up, "the condition never came true"
            time.sleep(0.01)
        return result

    return wait
