"""A server that stands still is caught in the act: which process, who waits for whom, and from when to when."""

import itertools
import time

import psutil
import pytest
from command import ranks
from factory import make_run

from mmload.discover import ServerProcess
from mmload.errors import ServerError
from mmload.model.records import GeneratorSample
from mmload.observe.observer import KernelWord
from mmload.session.ledger import Ledger
from mmload.session.stall import Stalls

LOAD = ("--rate", "20", "--warmup", "0s", "--no-profile", "--timeout", "60s")


def stalls(run):
    return run.document("manifest.json")["stalls"]


def sentence_of_the_stall(run):
    """What is said while it lasts."""
    run.until(lambda: stalls(run) and stalls(run)[-1]["sentence"])
    (stall,) = stalls(run)
    assert stall["end_ns"] is None
    return stall["sentence"]


def dumped(run, folder):
    return {path.stem: path.read_text() for path in (run.run_folder / folder).iterdir()}


@pytest.mark.live
def test_a_stopped_rank_is_named_while_it_lasts_and_the_run_goes_on_when_it_is_let_go(mmload):
    run = mmload("run", *LOAD, "--duration", "6s", "--variant", "commit")
    run.until_measuring()
    stopped = ranks(run)[1]
    stopped.suspend()
    said = sentence_of_the_stall(run)
    resumed_ns = time.monotonic_ns()
    stopped.resume()
    run.finish()
    assert run.code in (0, 4), run.stderr  # 4: the host was busy
    assert said.startswith(f"scheduler_TP1 (pid {stopped.pid}) is stopped by a signal, in ")
    assert "scheduler_TP0 waits for scheduler_TP1 in " in said
    assert said.endswith("; tokenizer waits for the ranks")
    (stall,) = stalls(run)
    assert (stall["sentence"], stall["seen"], stall["dumps"]) == (said, "scheduler_TP1 is stopped", "dumps/1")
    assert stall["start_ns"] < resumed_ns < stall["end_ns"]
    records = run.lines("requests.jsonl")
    assert any(each["due_ns"] < resumed_ns - 5e8 < resumed_ns < each["done_ns"] for each in records)
    assert all(each["outcome"] == "ok" for each in records)
    texts = dumped(run, "dumps/1")
    assert set(texts) == {"tokenizer", "scheduler_TP0", "scheduler_TP1"}
    assert all("Thread" in text and "\nKernel: pid " in text for text in texts.values())
    lasted_s = (stall["end_ns"] - stall["start_ns"]) / 1e9
    (warning,) = [each for each in run.document("manifest.json")["warnings"] if "stood still" in each]
    assert warning.startswith(f"the server stood still for {lasted_s:.1f} s, ")
    assert warning.endswith(f" s into measure: {said} (stacks in dumps/1)")
    assert " ".join(warning.split()) in " ".join(run.stdout.split())
    assert f"the server stands still: {said}" in run.stderr + run.stdout


@pytest.mark.live
def test_a_stopped_tokenizer_is_named_too(mmload, standin):
    server = standin()
    run = mmload("run", *LOAD, "--duration", "6s", "--url", server.url)
    run.until_measuring()
    run.until(lambda: "tokenizer" in (run.run_folder / "processes.jsonl").read_text())
    (pid,) = {sample["pid"] for sample in run.lines("processes.jsonl") if sample["role"] == "tokenizer"}
    tokenizer = psutil.Process(pid)
    tokenizer.suspend()
    said = sentence_of_the_stall(run)
    tokenizer.resume()
    run.finish()
    assert run.code in (0, 4), run.stderr
    assert said.startswith(f"tokenizer (pid {tokenizer.pid}) is stopped by a signal, in ")
    assert "waits for the ranks" not in said
    assert stalls(run)[0]["end_ns"] is not None


class Watched:
    """A server that stands still as told, under a clock of the test's, and what is noticed of it."""

    def __init__(self, folder):
        self.state = "S"
        self.broken = False
        self.dumps = 0
        self.t_ns = itertools.count(250_000_000, 250_000_000)
        self.now_ns = self.answers = self.bytes_down = 0
        late = make_run(folder)
        self.ledger = Ledger(late.layout, late.plan, "original")
        rank = ServerProcess(pid=7, start_ticks=1, role="scheduler", rank=0, name="scheduler_TP0")
        self.stalls = Stalls(self, [rank], late.layout, self.ledger, lambda: self.now_ns)

    @property
    def noted(self):
        return self.ledger.manifest.stalls

    def states(self, processes):
        if self.broken:
            raise ServerError("the agent does not answer")
        return {process.name: KernelWord(state=self.state) for process in processes}

    def dump(self, processes, folder, timeout_s):
        self.dumps += 1
        folder.mkdir(parents=True)
        (folder / "scheduler_TP0.txt").write_text('Thread 7 (idle): "MainThread"\n    hash_feature (a.py:1)\n')
        return []

    def look(self, *, answered=True, timed_out=False, under_load=True):
        """A quarter of a second passes."""
        self.now_ns = next(self.t_ns)
        self.answers += answered or timed_out
        self.bytes_down += answered
        sample = GeneratorSample(
            t_ns=self.now_ns,
            worker=0,
            due=0,
            sent=0,
            done=self.answers,
            in_flight=3,
            stall_ms=0.0,
            cpu_s=0.0,
            bytes_down=self.bytes_down,
        )
        self.stalls.look([sample], under_load=under_load)
        time.sleep(0.001)  # for the thread that looks at the processes

    def look_until(self, condition, **how):
        for _ in range(2000):
            if condition():
                return
            self.look(**how)
        raise AssertionError("it was never noticed")


@pytest.fixture
def watched(tmp_path, monkeypatch):
    monkeypatch.setattr("mmload.session.dumping._BETWEEN_LOOKS_S", 0.0)
    made = Watched(tmp_path)
    for _ in range(20):
        made.look()
    yield made
    made.stalls.close()


def test_quiet_under_load_is_noticed_and_dumped_and_over_with_the_next_answer(watched):
    last_ns = watched.now_ns
    watched.look_until(lambda: watched.noted and watched.noted[0].dumps, answered=False)
    (stall,) = watched.noted
    assert (stall.start_ns, stall.end_ns, stall.dumps) == (last_ns, None, "dumps/1")
    assert stall.seen == "not a byte of any answer for 5.2 s, 3 requests in flight"
    assert stall.sentence == "scheduler_TP0 (pid 7) stands in hash_feature"
    assert watched.stalls.notice == f"the server stands still: {stall.sentence}"
    watched.look(answered=False, timed_out=True)
    assert watched.noted[0].end_ns is None
    watched.look()
    assert watched.noted[0].end_ns == watched.now_ns
    assert watched.stalls.notice is None
    lasted_s = (watched.now_ns - last_ns) / 1e9
    (warning,) = watched.ledger.manifest.warnings
    assert warning == f"the server stood still for {lasted_s:.1f} s: {stall.sentence} (stacks in dumps/1)"


def test_what_the_last_answers_of_a_load_take_is_no_stall(watched):
    for _ in range(100):
        watched.look(answered=False, under_load=False)
    assert watched.noted == []


def test_a_stopped_process_is_noticed_while_others_answer_and_lasts_until_it_runs(watched):
    watched.state = "T"
    watched.look_until(lambda: watched.noted and watched.noted[0].dumps)
    for _ in range(20):
        watched.look()
    assert [stall.end_ns for stall in watched.noted] == [None]
    watched.state = "S"
    watched.look_until(lambda: watched.noted[0].end_ns)
    assert watched.noted[0].sentence == "scheduler_TP0 (pid 7) is stopped by a signal, in hash_feature"


def test_a_handful_of_dumps_is_taken_well_apart_and_every_stall_is_noted(watched):
    for number in range(1, 13):
        watched.state = "T"
        watched.look_until(lambda count=number: len(watched.noted) == count)
        for _ in range(0 if number < 4 else 100):
            watched.look()
        watched.state = "S"
        watched.look_until(lambda: watched.noted[-1].end_ns)
        assert number >= 4 or watched.dumps == 1
    assert watched.dumps == 5
    assert len({stall.dumps for stall in watched.noted}) == 6


def test_a_server_that_is_given_up_is_dumped_once_more(watched):
    watched.look_until(lambda: watched.noted and watched.noted[0].dumps, answered=False)
    watched.state = "T"
    sentence = watched.stalls.dump_now()
    assert sentence == "scheduler_TP0 (pid 7) is stopped by a signal, in hash_feature"
    assert (watched.noted[0].dumps, watched.noted[0].sentence) == ("dumps/2", sentence)
    watched.stalls.close()
    assert watched.ledger.manifest.warnings[0].startswith("the server stood still to the end: scheduler_TP0 (pid 7) is")


def test_processes_that_can_not_be_looked_at_are_a_warning_and_end_nothing(watched):
    watched.broken = True
    watched.look_until(lambda: watched.ledger.manifest.warnings)
    watched.look_until(lambda: watched.noted and watched.noted[0].dumps, answered=False)
    assert watched.noted[0].sentence == ""
    assert watched.ledger.manifest.warnings == ["the server's stalls can't be looked into: the agent does not answer"]
