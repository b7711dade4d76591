"""Signals that end a run: remembered, obeyed between two steps, and left alone where the user had them ignored."""

import json
import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from mmload.errors import Interrupted
from mmload.session.interrupt import interruption


@pytest.fixture
def handlers():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}  # a miss must not end the tests
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_is_obeyed_at_the_next_look(number, code):
    before = signal.getsignal(number)
    with interruption() as interrupted:
        interrupted.check()
        signal.raise_signal(number)
        with pytest.raises(Interrupted) as caught:
            interrupted.check()
    assert caught.value.exit_code == code
    assert signal.getsignal(number) is before


@pytest.mark.usefixtures("handlers")
def test_what_nohup_has_ignored_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interruption() as interrupted:
        signal.raise_signal(signal.SIGHUP)
        interrupted.check()


@pytest.mark.live
@pytest.mark.usefixtures("handlers")
def test_a_run_whose_terminal_hangs_up_is_sealed(tmp_path):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the run inherits it, and these tests may run under nohup
    terminal, slave = pty.openpty()
    load = ["--rate", "20", "--warmup", "0s", "--duration", "60s", "--no-profile", "--out", "out"]
    ends = {"stdin": slave, "stdout": slave, "stderr": slave, "start_new_session": True}
    with subprocess.Popen([sys.executable, "-m", "mmload", "run", *load], cwd=tmp_path, **ends) as run:
        os.close(slave)
        os.set_blocking(terminal, False)
        deadline = time.monotonic() + 60
        while '"measure"' not in "".join(file.read_text() for file in tmp_path.glob("out/*/requests.jsonl")):
            assert time.monotonic() < deadline, "waited too long"
            try:
                os.read(terminal, 65536)
            except BlockingIOError:
                time.sleep(0.05)
        os.close(terminal)
        run.send_signal(signal.SIGHUP)
        assert run.wait(30) == 129
    (folder,) = (tmp_path / "out").iterdir()
    assert json.loads((folder / "manifest.json").read_text())["status"] == "partial"
    assert json.loads((folder / "summary.json").read_text())["requests"] > 0


@pytest.mark.usefixtures("handlers")
def test_a_signal_that_came_too_late_for_a_run_ends_what_makes_the_runs():
    with interruption() as campaign:
        with interruption():
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted) as caught:
            campaign.check()
    assert caught.value.exit_code == 143


@pytest.mark.usefixtures("handlers")
def test_a_run_without_a_signal_ends_nothing_else():
    with interruption() as campaign:
        with interruption():
            pass
        campaign.check()
