"""Bad weather: whatever happens in a run, its exit code is right, what was measured is kept and nothing is left behind."""

import ctypes
import json
import os
import signal

import psutil
import pytest
from command import gone

pytestmark = pytest.mark.live

QUICK = ("--rate", "20", "--warmup", "0s", "--duration", "3s", "--no-profile")
LONG = ("--rate", "20", "--warmup", "0s", "--duration", "60s", "--no-profile")


def ranks(command):
    found = [child for child in command.children() if "sglang::scheduler" in " ".join(child.cmdline())]
    return sorted(found, key=lambda child: child.cmdline()[0])


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
    assert run.code == 5
    assert "the server hangs" in run.stderr
    assert {"scheduler_TP0.txt", "scheduler_TP1.txt"} <= {path.name for path in (run.run_folder / "dumps").iterdir()}
    assert "event_loop" in (run.run_folder / "dumps" / "scheduler_TP0.txt").read_text()
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


def test_a_killed_mmload_leaves_nothing_behind_and_a_readable_folder(mmload):
    run = mmload("run", *LONG)
    run.until_measuring()
    everything = run.children()
    run.send(signal.SIGKILL)
    run.finish()
    assert gone(everything)
    assert not any(path.name.startswith("mmload-") and str(run.process.pid) in path.name for path in shm())
    shown = mmload("runs", "show", run.run_folder.name, "--json").finish()
    assert shown.code == 0, shown.stderr
    summary = json.loads(shown.stdout)
    assert summary["status"] == "partial"
    assert summary["requests"] > 0
    assert "partial" in mmload("runs", "list").finish().stdout


def shm():
    from pathlib import Path

    return list(Path("/dev/shm").iterdir())


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
    os.kill(run.process.pid, 0)
    psutil.wait_procs([], timeout=0)
    signal.sigtimedwait([], 1.0)
    worker.resume()
    run.finish()
    assert run.code == 4
    reasons = run.document("manifest.json")["validity"]
    assert any("lag" in reason or "loop" in reason or "stall" in reason for reason in reasons)


def test_a_folder_that_cannot_be_made_is_said_before_anything_starts(mmload, tmp_path):
    (tmp_path / "file").write_text("")
    run = mmload("run", *QUICK, "--out", tmp_path / "file").finish()
    assert run.code == 7
    assert "--out" in run.stderr


def test_a_full_disk_keeps_what_was_written(mmload, small_disk):
    run = mmload("run", *LONG, "--out", small_disk)
    run.until(lambda: run.process.poll() is None and any(small_disk.glob("*/requests.jsonl")))
    run.finish(timeout_s=120)
    assert run.code == 7
    assert "the disk is full" in run.stderr
    (folder,) = small_disk.iterdir()
    assert (folder / "requests.jsonl").stat().st_size > 0


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 kB."""
    import subprocess

    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder], check=False)
    if mounted.returncode != 0:
        pytest.skip("a small file system can't be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_server_that_is_attached_to_is_never_ended(mmload, standin):
    server = standin("--variant", "optimized")
    run = mmload("run", *QUICK, "--url", server.url, "--json").finish()
    assert run.code == 0, run.stderr
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
    assert mmload("run", *QUICK, "--url", server.url, "--workload", "text", "--out", "texts").finish().code == 0


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


def without_the_right_to_ptrace():
    """What a container without SYS_PTRACE is: the capability can't be had any more by what is executed next."""
    pr_capbset_drop, cap_sys_ptrace = 24, 19
    assert ctypes.CDLL(None).prctl(pr_capbset_drop, cap_sys_ptrace, 0, 0, 0) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up a capability that it has")
def test_without_the_right_to_ptrace_the_run_goes_on_without_stacks_and_says_the_mend(mmload, standin):
    server = standin("--variant", "original")
    quick = [word for word in QUICK if word != "--no-profile"]
    command = ("run", *quick, "--profile-duration", "1s", "--url", server.url)
    run = mmload(*command, preexec_fn=without_the_right_to_ptrace).finish()
    assert run.code == 0, run.stderr
    manifest = run.document("manifest.json")
    assert manifest["profile"]["mode"] == "none"
    (warning,) = [warning for warning in manifest["warnings"] if "py-spy" in warning]
    assert "SYS_PTRACE" in warning
    assert warning.split(":")[0] in " ".join(run.stdout.split())
    assert run.document("summary.json")["requests"] == 60
