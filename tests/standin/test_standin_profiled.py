"""A run says what its profiler did to the server: real processes with many threads, profiled in a way that stops them."""

import json

import pytest
from command import Command
from typer.testing import CliRunner

from mmload.cli import app

pytestmark = [pytest.mark.live, pytest.mark.alone]

LOAD = ("--rate", "5", "--arrival", "constant", "--warmup", "1s", "--duration", "6s", "--profile-duration", "6s")


def test_a_profile_that_stops_its_processes_is_found_to_slow_them(start, tmp_path):
    server = start("faulty_strategies:ManyThreads")
    url = f"http://{server.host}"
    command = Command(["run", "--url", url, *LOAD, "--profile-mode", "native", "--json"], tmp_path).finish()
    assert command.code in (0, 4), command.stderr  # 4: the host was busy
    summary = json.loads(command.stdout)
    assert summary["looking"]["service_p50"]["low"] > 1.1
    (sentence,) = [said for said in summary["looking"]["slowed"] if "service time" in said]
    assert sentence.startswith("while it was profiled the server was slower: ")
    assert sentence in summary["warnings"]
    shown = CliRunner().invoke(app, ["runs", "show", str(command.run_folder)]).output
    assert sentence in " ".join(shown.split())
