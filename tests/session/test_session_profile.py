"""A profile without load: what its folder holds, and that no bad weather makes it a silent success."""

import json
import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from command import gone, ranks, without_the_right_to_ptrace
from disk import fill

from mmload.discover import find_listener
from mmload.model.plan import NoLoad, Plan, ProfilePlan
from mmload.serve.process import free_port
from mmload.session.profile_alone import find_subject, profile_alone

pytestmark = pytest.mark.live

SPIN = """
print("ready", flush=True)

def burn():
    return sum(range(1000))

while True:
    burn()
"""


@pytest.fixture
def spinning():
    """spinning() -> the Popen of a process that burns a core."""
    children = []

    def start():
        children.append(subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE))
        assert children[-1].stdout.readline()
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child.communicate()


def py_spies(command):
    return [child for child in command.children() if child.name() == "py-spy"]


def listens(host, port):
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


@pytest.mark.alone
def test_named_processes_are_profiled_and_the_folder_is_one_among_others(mmload, spinning):
    child = spinning()
    profile = mmload("profile", "--pid", child.pid, "--duration", "1s", "--json").finish()
    assert profile.code == 0, profile.stderr
    folder, summary = profile.run_folder, json.loads(profile.stdout)
    assert summary == profile.document("summary.json")
    assert (summary["kind"], summary["status"], summary["validity"]) == ("profile", "complete", "valid")
    assert {path.name for path in folder.iterdir()} == {
        *("manifest.json", "plan.json", "summary.json", "processes.jsonl", "host.jsonl", "stacks", "logs")
    }
    assert "burn (<string>:5)" in (folder / "stacks" / "other-1.folded").read_text()
    manifest = profile.document("manifest.json")
    assert [phase["name"] for phase in manifest["phases"]] == ["profile"]
    (file,) = manifest["profile"]["files"]
    (segment,) = file["segments"]
    assert file["samples"] == segment["samples"] > 0
    assert segment["start_ns"] < segment["end_ns"]
    assert segment["cpu_s"] > 0
    assert 0 < manifest["looking"]["driver_cpu_s"] < manifest["looking"]["span_s"]
    assert summary["looking"]["py_spy_pct"]["other-1"] > 0
    cpu = summary["cpu"]["other-1"]
    assert cpu["stack_samples"] > 0
    assert "burn (<string>)" in [name for name, _ in cpu["hottest"]]

    assert folder.name in mmload("runs", "list").finish().stdout
    shown = mmload("runs", "show", folder.name, "--json").finish()
    assert json.loads(shown.stdout) == summary
    assert "without load" in mmload("runs", "show", folder.name).finish().stdout
    judged = mmload("gate", folder).finish()
    assert judged.code == 2
    assert "is a profile without load" in judged.stderr
    assert mmload("gate").finish().code == 7, "it is no candidate either"
    repeated = mmload("run", "--plan", folder / "plan.json").finish()
    assert repeated.code == 2
    assert "mmload profile" in repeated.stderr
    assert mmload("runs", "remove", folder.name).finish().code == 0


def test_a_server_is_profiled_by_its_url_with_its_ranks_and_metrics(mmload, standin):
    server = standin("--variant", "optimized", "--", "--poll-on-idle")
    profile = mmload("profile", "--url", server.url, "--duration", "2s").finish()
    assert profile.code in (0, 4), profile.stderr  # 4: on a busy host a profile may be poor, and says so
    manifest = profile.document("manifest.json")
    assert (manifest["variant"], manifest["engine"], manifest["idle_policy"]) == ("optimized", "standin", "poll")
    assert [rank["rank"] for rank in manifest["ranks"]] == [0, 1]
    assert {file["process"] for file in manifest["profile"]["files"]} == {"tokenizer", "scheduler_TP0", "scheduler_TP1"}
    assert profile.lines("server.jsonl")
    assert not (profile.run_folder / "requests.jsonl").exists()
    cpu = profile.document("summary.json")["cpu"]
    assert cpu["scheduler_TP0"]["phases"].get("idle-poll", 0) > 0
    assert "scheduler_TP1" in profile.stdout
    assert server.process.poll() is None


def test_processes_beside_an_agent_are_profiled_there(mmload, spinning, monkeypatch):
    monkeypatch.setenv("MMLOAD_AGENT_TOKEN", "0123456789abcdef0123456789abcdef")
    child, port = spinning(), free_port()
    agent = mmload("agent", "--listen", f"127.0.0.2:{port}", "--pid", child.pid)
    agent.until(lambda: listens("127.0.0.2", port))
    url = f"http://127.0.0.2:{port}"
    profile = mmload("profile", "--pid", child.pid, "--agent", url, "--duration", "1s").finish()
    assert profile.code in (0, 4), profile.stderr  # 4: on a busy host a profile may be poor, and says so
    manifest = profile.document("manifest.json")
    assert manifest["agent"]["url"] == url
    assert manifest["profile"]["samples"] > 0
    assert "burn" in (profile.run_folder / "stacks" / "other-1.folded").read_text()


def test_nothing_named_is_a_question_of_usage_and_nobody_there_one_of_the_server(mmload, tmp_path):
    assert mmload("profile").finish().code == 2
    assert mmload("profile", "--pid", "1", "--duration", "0s").finish().code == 2
    absent = mmload("profile", "--pid", 2**22 - 1).finish()
    assert absent.code == 5
    assert "no process has the pid" in absent.stderr
    nobody = mmload("profile", "--url", "http://127.0.0.1:9").finish()
    assert nobody.code == 5
    assert not (tmp_path / "profiles").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up a capability that it has")
def test_without_the_right_to_ptrace_it_ends_at_once_with_its_own_exit_code_and_the_mend(mmload, spinning):
    profile = mmload("profile", "--pid", spinning().pid, "--duration", "300s", preexec_fn=without_the_right_to_ptrace)
    profile.finish()
    assert profile.code == 6
    assert "--cap-add SYS_PTRACE" in profile.stderr
    manifest = profile.document("manifest.json")
    assert (manifest["status"], manifest["profile"]["mode"]) == ("partial", "none")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_the_stacks_so_far(mmload, spinning, number):
    profile = mmload("profile", "--pid", spinning().pid, "--duration", "60s", "--json")
    profile.until_profiled()
    spies = py_spies(profile)
    profile.send(number)
    profile.finish()
    assert profile.code == 128 + number
    assert json.loads(profile.stdout)["status"] == "partial"
    assert profile.document("manifest.json")["profile"]["samples"] > 0
    assert "burn" in (profile.run_folder / "stacks" / "other-1.folded").read_text()
    assert gone(spies)


def test_when_every_process_has_ended_that_is_said_and_what_was_taken_is_kept(mmload, spinning):
    child = spinning()
    profile = mmload("profile", "--pid", child.pid, "--duration", "60s")
    profile.until_profiled()
    child.kill()
    child.wait()
    profile.finish()
    assert profile.code == 5
    assert "every process that was to be profiled has ended" in profile.stderr
    (file,) = profile.document("manifest.json")["profile"]["files"]
    assert file["error"] == "the process ended during the profile"


def test_one_process_that_ends_makes_its_profile_poor_and_leaves_the_other_good(mmload, spinning):
    mortal, other = spinning(), spinning()
    profile = mmload("profile", "--pid", mortal.pid, "--pid", other.pid, "--duration", "3s")
    profile.until_profiled()
    mortal.kill()
    mortal.wait()
    profile.finish()
    assert profile.code == 4
    manifest = profile.document("manifest.json")
    by_pid = {file["pid"]: file for file in manifest["profile"]["files"]}
    assert "the process ended during the profile" in manifest["validity"][0]
    assert by_pid[other.pid]["samples"] > 0
    assert any(f"(pid {mortal.pid}) ended" in warning for warning in manifest["warnings"])


@pytest.mark.alone
def test_a_stopped_process_is_no_idle_one(mmload, spinning):
    child = spinning()
    child.send_signal(signal.SIGSTOP)
    profile = mmload("profile", "--pid", child.pid, "--duration", "1s").finish()
    assert profile.code == 0, profile.stderr
    assert profile.document("manifest.json")["warnings"] == ["other-1 is stopped: it burns nothing until it is let go"]


def test_a_rank_that_is_lost_ends_the_profile_of_its_server(mmload, standin):
    server = standin()
    profile = mmload("profile", "--url", server.url, "--duration", "60s")
    profile.until_profiled()
    ranks(server)[1].kill()
    profile.finish()
    assert profile.code == 5
    assert "scheduler_TP1" in profile.stderr
    manifest = profile.document("manifest.json")
    assert manifest["status"] == "failed"
    assert {file["process"] for file in manifest["profile"]["files"]} >= {"scheduler_TP0", "scheduler_TP1"}


@pytest.mark.parametrize(("number", "words"), [(signal.SIGKILL, "(exit code -9)"), (signal.SIGSTOP, "py-spy hung")])
def test_a_py_spy_that_is_killed_or_hangs_makes_the_profile_poor_and_says_so(mmload, spinning, number, words):
    profile = mmload("profile", "--pid", spinning().pid, "--duration", "2s")
    profile.until_profiled()
    (spy,) = py_spies(profile)
    spy.send_signal(number)
    profile.finish()
    assert profile.code == 4
    manifest = profile.document("manifest.json")
    assert "INVALID" in profile.stdout
    assert words in manifest["validity"][0]
    assert words in manifest["profile"]["files"][0]["error"]
    assert gone([spy])


def test_a_process_that_is_no_python_is_said(mmload):
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        profile = mmload("profile", "--pid", sleeper.pid, "--duration", "60s").finish()
        sleeper.kill()
    assert profile.code == 4
    assert "poor profile of other-1" in profile.document("manifest.json")["validity"][0]


def test_a_full_disk_is_said_and_the_folder_sealed_all_the_same(mmload, spinning, small_disk):
    profile = mmload("profile", "--pid", spinning().pid, "--duration", "60s", "--out", small_disk)
    profile.out = small_disk
    profile.until_profiled()
    fill(small_disk)
    profile.finish()
    assert profile.code == 7
    assert "the disk is full" in profile.stderr
    assert profile.document("manifest.json")["status"] == "partial"


def plan_of(**subject):
    profile = ProfilePlan(duration_s=60)
    return Plan(variant=None, workload_name="none", workload={}, load=NoLoad(), engine=None, profile=profile, **subject)


def test_where_there_is_no_py_spy_nothing_is_valid(spinning, tmp_path, monkeypatch):
    monkeypatch.setattr("mmload.observe.pyspy.py_spy_path", lambda: "no-such-py-spy")
    run = profile_alone(plan_of(pids=(spinning().pid,)), tmp_path, lambda _view: None, lambda _run: None)
    (reason,) = run.manifest.validity
    assert "cannot start no-such-py-spy: No such file or directory" in reason


def test_a_server_that_does_not_answer_is_profiled_as_it_is(standin, monkeypatch):
    server = standin()
    monkeypatch.setattr("mmload.session.profile_alone._ANSWER_TIMEOUT_S", 0.2)
    listener = psutil.Process(find_listener(int(server.url.rpartition(":")[2])))
    listener.suspend()
    subject = find_subject(plan_of(url=server.url))
    listener.resume()
    assert {process.role for process in subject.processes} >= {"tokenizer", "scheduler"}
    assert "profiled as it is" in subject.trouble
    assert subject.variant == "stock"
