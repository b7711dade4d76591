"""Bad weather: whatever happens in a run, its exit code is right, what was measured is kept and nothing is left behind.

Most run beside other tests, which may make any generator late: what says so by exit code 4 is right, too.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from command import gone, ranks, without_the_right_to_ptrace
from factory import make_run

pytestmark = pytest.mark.live

QUICK = ("--rate", "20", "--warmup", "0s", "--duration", "3s", "--no-profile")
LONG = ("--rate", "20", "--warmup", "0s", "--duration", "60s", "--no-profile")


def workers(command):
    return [child for child in command.children() if "mmload.drive.worker" in child.cmdline()]


def test_a_server_that_dies_ends_the_run_with_everything_kept(mmload):
    run = mmload("run", *LONG)
    run.until_measuring()
    everything = run.children()
    ranks(run)[1].kill()
    run.finish()
    assert run.code == 5
    assert "error: " in run.stderr
    manifest = run.document("manifest.json")
    assert manifest["status"] == "failed"
    assert "scheduler_TP1" in manifest["error"] or "ended with exit code" in manifest["error"]
    records = run.lines("requests.jsonl")
    assert len({record["id"] for record in records}) == len(records)
    assert sum(record["phase"] == "measure" for record in records) == 20 * 60
    assert any(record["outcome"] == "dropped" and record["sent_ns"] is None for record in records)
    assert run.document("summary.json")["status"] == "failed"
    assert gone(everything)


def test_a_hung_server_is_told_from_a_slow_one_and_its_stacks_are_saved(mmload):
    run = mmload("run", *LONG, "--timeout", "60s")
    run.until_measuring()
    everything = run.children()
    for rank in ranks(run):
        rank.suspend()
    run.finish(timeout_s=120)
    manifest = run.document("manifest.json")
    assert run.code == (5 if manifest["validity"] == "valid" else 4)
    assert "the server hangs" in " ".join(run.stderr.split())
    stall = manifest["stalls"][-1]
    assert stall["end_ns"] is None
    assert "scheduler_TP0 (pid " in stall["sentence"]
    assert manifest["error"].endswith(f"/health is silent; {stall['sentence']}")
    dumps = run.run_folder / stall["dumps"]
    assert {"scheduler_TP0.txt", "scheduler_TP1.txt"} <= {path.name for path in dumps.iterdir()}
    assert "event_loop" in (dumps / "scheduler_TP0.txt").read_text()
    assert gone(everything)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_what_it_measured(mmload, number, code):
    run = mmload("run", *LONG, "--json")
    run.until_measuring()
    everything = run.children()
    run.send(number)
    run.finish()
    assert run.code == code
    assert run.document("manifest.json")["status"] == "partial"
    summary = json.loads(run.stdout)
    assert summary["status"] == "partial"
    assert summary["requests"] > 0
    assert gone(everything)


@pytest.mark.alone
def test_starving_the_worker_of_a_closed_loop_makes_no_quiet_number(mmload):
    run = mmload("run", "--concurrency", "4", "--warmup", "0s", "--duration", "4s", "--no-profile")
    run.until_measuring()
    (worker,) = workers(run)
    with contextlib.suppress(psutil.NoSuchProcess):
        while run.process.poll() is None:
            worker.suspend()
            time.sleep(0.09)  # no stall is long enough to be one
            worker.resume()
            time.sleep(0.02)
    run.finish()
    assert run.code == 4
    assert "answers were read late" in " ".join(run.document("manifest.json")["validity"])


def test_a_killed_mmload_leaves_nothing_behind_and_a_readable_folder(mmload):
    run = mmload("run", *LONG)
    run.until_measuring()
    everything = run.children()
    run.send(signal.SIGKILL)
    run.finish()
    assert gone(everything)
    assert not scratch_of(run)
    shown = mmload("runs", "show", run.run_folder.name, "--json").finish()
    assert shown.code == 0, shown.stderr
    summary = json.loads(shown.stdout)
    assert summary["status"] == "partial"
    assert summary["requests"] > 0
    assert "partial" in mmload("runs", "list").finish().stdout


def scratch_of(command):
    """What a run keeps while it prepares."""
    places = (Path("/dev/shm"), Path(tempfile.gettempdir()))
    return [found for place in places for found in place.glob(f"mmload-{command.process.pid}-*")]


def test_a_killed_worker_makes_the_run_invalid_and_is_named(mmload):
    run = mmload("run", *LONG, "--workers", "2")
    run.until_measuring()
    workers(run)[0].kill()
    run.finish()
    assert run.code == 4
    assert "ended with exit code -9" in run.stderr
    assert "worker" in run.document("manifest.json")["validity"][0]


def test_a_frozen_worker_makes_the_run_invalid_and_says_what_fell_behind(mmload):
    run = mmload("run", *QUICK, "--duration", "5s")
    run.until_measuring()
    (worker,) = workers(run)
    worker.suspend()
    run.until(lambda: time.monotonic_ns() - run.lines("generator.jsonl")[-1]["t_ns"] > 1_000_000_000)
    worker.resume()
    run.finish()
    assert run.code == 4
    assert "the generator stood still" in " ".join(run.document("manifest.json")["validity"])
    assert run.document("summary.json")["generator"]["longest_stall_ms"] > 700


def test_a_folder_that_cannot_be_made_is_said_before_anything_starts(mmload, tmp_path):
    (tmp_path / "file").write_text("")
    run = mmload("run", *QUICK, "--out", tmp_path / "file").finish()
    assert run.code == 7
    assert "--out" in run.stderr


def test_a_full_disk_keeps_what_was_written_and_is_sealed_all_the_same(mmload, small_disk):
    run = mmload("run", *LONG, "--workload", "text", "--rate", "60", "--json", "--out", small_disk)
    run.until(lambda: run.process.poll() is None and any(small_disk.glob("*/requests.jsonl")))
    run.finish(timeout_s=120)
    assert run.code == 7
    assert "the disk is full" in run.stderr
    (folder,) = small_disk.iterdir()
    assert (folder / "requests.jsonl").stat().st_size > 0
    assert json.loads((folder / "manifest.json").read_text())["status"] == "partial"
    assert json.loads(run.stdout) == json.loads((folder / "summary.json").read_text())


def test_a_server_that_is_attached_to_is_never_ended(mmload, standin):
    server = standin("--variant", "optimized")
    run = mmload("run", *QUICK, "--url", server.url, "--json").finish()
    assert run.code in (0, 4), run.stderr
    assert json.loads(run.stdout)["variant"] == "optimized"
    interrupted = mmload("run", *LONG, "--url", server.url, "--out", "other")
    interrupted.out = interrupted.out.parent / "other"
    interrupted.until_measuring()
    interrupted.send(signal.SIGINT)
    assert interrupted.finish().code == 130
    assert server.process.poll() is None
    assert len(ranks(server)) == 2


def test_an_attached_server_that_runs_another_variant_is_refused(mmload, standin):
    server = standin("--variant", "commit")
    run = mmload("run", *QUICK, "--url", server.url, "--variant", "optimized").finish()
    assert run.code == 5
    assert "rank 0 runs commit" in run.stderr


def test_a_rank_that_lies_is_found_before_anything_is_measured(mmload):
    run = mmload("run", *QUICK, "--variant", "optimized", "--", "--rank-variant", "1=original").finish()
    assert run.code == 5
    assert "rank 1 runs original" in run.stderr
    assert not (run.run_folder / "requests.jsonl").exists()


def test_a_text_server_is_not_sent_images(mmload, standin):
    server = standin("--", "--text-only")
    run = mmload("run", *QUICK, "--url", server.url).finish()
    assert run.code == 2
    assert "text only" in run.stderr
    texts = mmload("run", *QUICK, "--url", server.url, "--workload", "text", "--out", "texts").finish()
    assert texts.code in (0, 4), texts.stderr


def test_a_url_that_nobody_answers_is_an_error_of_the_server(mmload):
    from mmload.serve.process import free_port

    run = mmload("run", *QUICK, "--url", f"http://127.0.0.1:{free_port()}").finish()
    assert run.code == 5
    assert "nobody answers" in run.stderr
    assert "mmload serve" in run.stderr


def test_a_port_in_use_is_said_with_the_mend(mmload, standin):
    server = standin()
    run = mmload("run", *QUICK, "--port", server.url.rpartition(":")[2]).finish()
    assert run.code == 5
    assert "in use" in run.stderr
    assert "--url" in run.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up a capability that it has")
def test_without_the_right_to_ptrace_the_run_goes_on_without_stacks_and_says_the_mend(mmload, standin):
    server = standin("--variant", "original")
    quick = [word for word in QUICK if word != "--no-profile"]
    command = ("run", *quick, "--profile-duration", "1s", "--url", server.url)
    run = mmload(*command, preexec_fn=without_the_right_to_ptrace).finish()
    assert run.code in (0, 4), run.stderr
    manifest = run.document("manifest.json")
    assert "py-spy" not in str(manifest["validity"])
    assert manifest["profile"]["mode"] == "none"
    (warning,) = [warning for warning in manifest["warnings"] if "py-spy" in warning]
    assert "SYS_PTRACE" in warning
    assert warning.split(":")[0] in " ".join(run.stdout.split())
    assert run.document("summary.json")["requests"] == 60


EXACT_SERVER = Path(__file__).parents[2] / "bench" / "exact_server.py"


@pytest.fixture
def exact_server(tmp_path):
    """exact_server(delay_s) -> URL of a healthy server that answers after that time."""
    servers = []

    def start(delay_s):
        command = [sys.executable, EXACT_SERVER, str(delay_s), tmp_path / "wire"]
        servers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return f"http://127.0.0.1:{int(servers[-1].stdout.readline())}"

    yield start
    for server in servers:
        server.stdin.close()
        server.wait(10)


def test_a_slow_server_is_not_called_hung_and_its_timeouts_are_counted(mmload, exact_server, tmp_path):
    (tmp_path / "one.jsonl").write_text('{"text": "one"}\n')
    load = ("--rate", "4", "--warmup", "0s", "--duration", "12s", "--no-profile", "--timeout", "1s", "--json")
    run = mmload("run", "--items", "one.jsonl", *load, "--url", exact_server(3.0)).finish()
    assert run.code != 5, run.stderr
    summary = json.loads(run.stdout)
    assert summary["status"] == "complete"
    assert summary["outcomes"] == {"timeout": 48}
    assert summary["response_ms"]["p50"] is None
    assert summary["stalls"] == []
    assert not (run.run_folder / "dumps").exists()


def test_a_generator_that_cannot_keep_the_rate_makes_the_run_invalid(mmload, exact_server):
    load = ("--rate", "40000", "--warmup", "0s", "--duration", "1s", "--no-profile", "--workload", "text")
    run = mmload("run", *load, "--url", exact_server(0.0)).finish()
    assert run.code == 4, run.stderr
    reasons = run.document("manifest.json")["validity"]
    assert any("lag p99" in reason for reason in reasons), reasons
    assert run.document("summary.json")["generator"]["lag_p99_ms"] > 500


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_while_payloads_are_made_is_obeyed_and_leaves_nothing(mmload, number):
    run = mmload("run", "--workload", "images-1mb", "--rate", "50", "--duration", "60s", "--no-profile")
    run.until(lambda: scratch_of(run))
    everything = run.children()
    run.send(number)
    run.finish()
    assert run.code == 128 + number
    assert run.document("manifest.json")["status"] == "partial"
    assert "nothing was measured" in run.stdout
    assert not scratch_of(run)
    assert gone(everything)


def test_what_a_kill_left_while_payloads_were_made_is_swept_by_the_next_run(mmload):
    run = mmload("run", "--workload", "images-1mb", "--rate", "50", "--duration", "60s", "--no-profile")
    run.until(lambda: scratch_of(run))
    everything = run.children()
    run.send(signal.SIGKILL)
    run.finish()
    assert gone(everything)
    assert mmload("run", *QUICK, "--out", "other").finish().code in (0, 4)
    assert not scratch_of(run)


def test_two_interruptions_end_it_at_once_and_still_leave_nothing(mmload):
    run = mmload("run", *LONG)
    run.until_measuring()
    everything = run.children()
    run.send(signal.SIGINT)
    run.send(signal.SIGINT)
    run.finish()
    assert run.code == 130
    assert gone(everything)
    assert mmload("runs", "show", run.run_folder).finish().code == 0


def test_an_interruption_in_the_profile_window_keeps_the_measured_one(mmload):
    run = mmload("run", "--rate", "20", "--warmup", "0s", "--duration", "2s", "--profile-duration", "30s", "--json")
    run.until_profiled()
    everything = run.children()
    run.send(signal.SIGINT)
    run.finish()
    assert run.code == 130
    assert json.loads(run.stdout)["requests"] == 40
    assert gone(everything)


def test_a_driver_that_was_paused_does_not_blame_its_workers(mmload):
    run = mmload("run", *QUICK, "--duration", "9s")
    run.until_measuring()
    run.send(signal.SIGSTOP)
    before = len(run.lines("requests.jsonl"))
    run.until(lambda: len(run.lines("requests.jsonl")) > before + 120)  # six seconds of load
    run.send(signal.SIGCONT)
    run.finish()
    assert run.code in (0, 4), run.stderr  # 4: the host was busy
    assert "worker" not in str(run.document("manifest.json")["validity"])
    assert len(run.lines("requests.jsonl")) == 8 + 180


def test_a_reader_that_goes_away_does_not_end_the_run(mmload):
    run = mmload("run", *QUICK)
    run.process.stdout.readline()
    run.process.stdout.close()
    assert run.process.wait(60) in (0, 4)
    assert run.document("manifest.json")["status"] == "complete"
    run.process.stdout = open(os.devnull)  # noqa: PTH123, SIM115 (for the fixture to read to its end)


def test_a_folder_that_may_only_be_read_can_be_judged(mmload, small_disk):
    folder = make_run(small_disk, duration_s=2).layout.path
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    gate = mmload("gate", folder, "--gate", "smoke").finish()
    assert gate.code in (0, 1, 3)
    assert "criterion" in gate.stdout
    assert "the verdict is not kept" in gate.stderr
