"""What is tethered does not outlive its starter."""

import subprocess
import sys

import psutil
import pytest

STARTER = """
import subprocess, sys, time
from mmload.tether import tethered
child = subprocess.Popen(tethered([sys.executable, "-c", "import time; time.sleep(60)"]))
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.live
@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_a_tethered_command_ends_with_its_starter(end):
    starter = subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(starter.stdout.readline()))
    getattr(starter, end)()
    starter.wait()
    _, alive = psutil.wait_procs([child], timeout=10)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.live
def test_a_tethered_command_has_its_own_exit_code_and_output():
    from mmload.tether import tethered

    command = tethered([sys.executable, "-c", "print('hello'); raise SystemExit(7)"])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "hello\n")


@pytest.mark.live
def test_a_command_that_is_not_there_is_said(tmp_path):
    from mmload.tether import tethered

    done = subprocess.run(tethered([str(tmp_path / "nowhere")]), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot start" in done.stderr
