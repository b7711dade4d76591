"""Commands and servers that end with the test that started them; how laws are searched for counterexamples."""

import os
import signal
import subprocess

import pytest
from agents import TOKEN, TOKEN_VARIABLE, AgentCommand
from command import Command
from hypothesis import settings

# No wall clock decides a law. A gate for changes must give the same answer twice: there the examples are fixed, and new
# ones are looked for wherever else the tests run.
settings.register_profile("everywhere", deadline=None)
settings.register_profile("gate", deadline=None, derandomize=True)
settings.load_profile("gate" if os.environ.get("CI") else "everywhere")


@pytest.fixture(autouse=True)
def _pipe_signal():
    """A command called in this process lets a closed pipe end it, as is right for one of its own."""
    before = signal.getsignal(signal.SIGPIPE)
    yield
    signal.signal(signal.SIGPIPE, before)


@pytest.fixture
def mmload(tmp_path):
    """mmload(*args) -> a started Command in an empty folder."""
    commands = []

    def start(*args, **popen):
        commands.append(Command(args, tmp_path, **popen))
        return commands[-1]

    yield start
    for command in commands:
        command.end()


@pytest.fixture
def standin(mmload):
    """standin(*args) -> a running stand-in server's Command; its `url` tells where."""
    from mmload.serve.process import free_port

    def start(*args):
        port = free_port()
        command = mmload("serve", "--port", port, *args)
        command.url = f"http://127.0.0.1:{port}"
        from mmload.serve.client import ServerClient

        command.until(lambda: ServerClient(command.url).is_healthy(2.0))
        return command

    return start


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 500 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", folder], check=False)
    if mounted.returncode != 0:
        pytest.skip("a small file system can't be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """agent(*args) -> a running agent, whose token the driver has too."""
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    agents = []

    def start(*args, **options):
        agents.append(AgentCommand(tmp_path, *args, **options))
        return agents[-1]

    yield start
    for one in agents:
        one.end()
