"""`mmload handoff` as a user runs it."""

import json
import signal
from pathlib import Path

import psutil
import pytest
from command import gone
from typer.testing import CliRunner

from mmload.cli import app
from mmload.errors import UsageError
from mmload.handoff.registry import STRATEGIES

SMALL = ("handoff", "--tp", "2", "--size", "100kB")
LONG = (*SMALL, "--variant", "original", "--variant", "shm", "--build-ms", "100", "--rounds", "500")


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["--variant", "optimised"], "unknown variant 'optimised'", "did you mean optimized"),
        (["--tp", "0"], "--tp 0 is out of range", "1 to 8"),
        (["--tp", "9"], "--tp 9 is out of range", "1 to 8"),
        (["--size", "10"], "--size '10' is not a size", "10MB"),
        (["--size", "1B"], "--size '1B' is not a size", "10MB"),
        (["--size", "1kB"], "--size 1000 bytes is out of range", "4000"),
        (["--batch", "0"], "--batch 0 is out of range", "1 to 1000"),
        (["--rounds", "0"], "--rounds 0 is out of range", "1 to"),
        (["--build-ms", "0"], "--build-ms 0 ms is out of range", "1 to"),
        (["--collective", "mpi"], "--collective 'mpi' is not known", "standin or gloo"),
        (["--quick", "--size", "10MB"], "--quick and --size exclude each other", "leave one of them out"),
        (["--size", "2GB", "--batch", "1000", "--tp", "8"], "GB of memory", "smaller --size or --batch"),
    ],
)
def test_a_wrong_option_is_named_with_what_it_takes(args, message, hint):
    result = CliRunner().invoke(app, ["handoff", *args])
    assert isinstance(result.exception, UsageError), result.output
    assert result.exception.exit_code == 2
    assert message in str(result.exception)
    assert hint in result.exception.hint


def test_gloo_without_torch_is_refused_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setattr("mmload.commands.handoff.find_spec", lambda _: None)
    result = CliRunner().invoke(app, ["handoff", "--collective", "gloo"])
    assert isinstance(result.exception, UsageError), result.output
    assert "torch, which is not installed" in str(result.exception)
    assert "mmload[torch]" in result.exception.hint


def left_by(processes):
    """What these, now gone, have left in shared memory."""
    return [path for one in processes for path in Path("/dev/shm").glob(f"mmload-{one.pid}-*")]


def until_a_round_is_over(command):
    """Wait for the fifth pair of tokenizer and ranks: with two at once, both variants have had a turn. Its processes."""
    groups = set()

    def fifth():
        groups.update(one.pid for one in command.children() if has_title(one, "handoff_group"))
        return len(groups) >= 5 and sum(is_rank(one) for one in command.children()) >= 2

    command.until(fifth)
    return command.children()


def has_title(process, part):
    try:
        return any(part in word for word in process.cmdline())
    except psutil.NoSuchProcess:
        return False


def is_rank(process):
    return has_title(process, "sglang::scheduler")


@pytest.mark.live
def test_every_variant_is_measured_and_the_document_is_alone_on_standard_output(mmload):
    command = mmload(*SMALL, "--rounds", "1", "--json").finish()
    assert command.code == 0, command.stderr
    report = json.loads(command.stdout)
    assert {row["variant"] for row in report["rows"]} == set(STRATEGIES) - {"stock"}
    assert report["complete"]
    for row in report["rows"]:
        assert row["cell"] == {
            "tp": 2,
            "size_bytes": 100_000,
            "batch": 1,
            "build_ms": None,
            "collective": "standin",
        }
        assert row["figures"]["wall_ms"]["value"] > 0
        assert row["figures"]["wall_ms"]["low"] is None
    assert "fewer than 5 rounds" in command.stderr
    assert "this takes about" in command.stderr


@pytest.mark.live
def test_batches_and_builds_are_what_was_asked_for(mmload):
    asked = ("--variant", "commit", "--batch", "1", "--batch", "4", "--build-ms", "40", "--rounds", "5", "--json")
    command = mmload(*SMALL, *asked).finish()
    assert command.code == 0, command.stderr
    rows = json.loads(command.stdout)["rows"]
    assert [(row["cell"]["batch"], row["cell"]["build_ms"], row["rounds"]) for row in rows] == [(1, 40, 5), (4, 40, 5)]
    for row in rows:
        wall, modelled = row["figures"]["wall_ms"], row["figures"]["modelled_cpu_ms"]
        assert wall["value"] > 40
        assert wall["low"] <= wall["value"] <= wall["high"]
        assert modelled["value"] == pytest.approx(40)
        assert row["figures"]["cpu_ms"]["value"] < 40


@pytest.mark.live
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_shows_what_it_measured_and_leaves_nothing(number, code, mmload):
    command = mmload(*LONG, "--batch", "5")
    children = until_a_round_is_over(command)
    command.send(number)
    command.finish(30)
    assert command.code == code
    assert "ended early" in command.stdout
    assert "TP 2, 0.1 MB x 5, build 100 ms" in command.stdout
    assert gone(children)
    assert left_by(children) == []


@pytest.mark.live
def test_a_rank_that_is_killed_ends_the_run_with_what_was_measured(mmload):
    command = mmload(*LONG, "--batch", "5")
    children = until_a_round_is_over(command)
    next(one for one in children if is_rank(one)).kill()
    command.finish(30)
    assert command.code == 5
    assert "Scheduler rank" in command.stderr
    assert "killed by signal 9" in command.stderr
    assert "ended early" in command.stdout
    assert gone(children)
    assert left_by(children) == []


@pytest.mark.live
def test_a_driver_that_is_killed_takes_all_along(mmload):
    command = mmload(*LONG)
    command.until(lambda: len(command.children()) >= 3)
    children = command.children()
    command.send(signal.SIGKILL)
    command.finish(30)
    assert gone(children)
