"""Stacks with their times by an agent: the same document as a local stamper's, on the driver's clock; and what is made
of an agent that fails or lies."""

import itertools
import os
import signal
import subprocess
import time
from contextlib import suppress

import msgspec
import psutil
import pytest
from agents import TitledServer

from mmload.discover import ServerProcess
from mmload.errors import FolderError, ServerError
from mmload.model.manifest import StampedFile, StampedInfo
from mmload.model.plan import AgentPlan, ProfilePlan
from mmload.observe.agent_link import AgentClock
from mmload.observe.agent_protocol import Alive, Done, Failed, FileLine, ProcessId, SampleRequest, Sought
from mmload.observe.local import LocalObserver
from mmload.observe.remote import RemoteObserver
from mmload.observe.remote_stamped import RemoteStamper
from mmload.store.append import create_run_folder, encode_document
from mmload.store.stacks import SourceLines, read_source, write_source
from mmload.store.stamped import StampedStacks, StampedThread, read_stamped

ANOTHER_CLOCK = ("unshare", "--time", "--monotonic", "1000")  # seconds that its CLOCK_MONOTONIC is ahead by
RANKS = ("scheduler_TP0", "scheduler_TP1")
PLAN = ProfilePlan(rate_hz=200, stamped_s=60)


@pytest.fixture
def layout(tmp_path):
    return create_run_folder(tmp_path, "run")


# By a real agent


@pytest.fixture
def titled():
    server = TitledServer(*(f"sglang::{rank}" for rank in RANKS))
    yield server
    server.end()


def remote(one, server):
    return RemoteObserver(AgentPlan(url=one.url), Sought(port=server.port))


def ranks_of(observer):
    return [process for process in observer.find() if process.role == "scheduler"]


def have_looked(starter, count):
    """Whether so many py-spies below a process have each looked often: it sleeps between two looks."""
    spies = []
    for child in psutil.Process(starter).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            spies += [child.num_ctx_switches().voluntary] if child.name() == "py-spy" else []
    return len(spies) == count and min(spies) > 200


def functions(stamped):
    """The innermost ones of the main thread."""
    return {stamped.stacks[place].rpartition(";")[2].partition(" ")[0] for place in stamped.threads[0].stack}


@pytest.mark.live
def test_an_agent_stamps_as_a_local_stamper_does_and_keeps_what_the_profile_wrote(agent, titled, tmp_path, until):
    one = agent()
    observers = {os.getpid(): LocalObserver(port=titled.port), one.process.pid: remote(one, titled)}
    infos, documents, files = [], [], []
    for starter, observer in observers.items():
        layout = create_run_folder(tmp_path, str(starter))
        write_source(layout, {"rank.py:3": "poll()"})
        (layout.logs / "py-spy-scheduler_TP0.log").write_text("said of the profile\n")
        stamper = observer.stamper(ranks_of(observer), layout, PLAN)
        began_ns = time.monotonic_ns()
        stamper.start()
        until(lambda starter=starter: have_looked(starter, 2))
        infos.append(stamper.stop())
        documents.append({rank: read_stamped(layout, rank) for rank in RANKS})
        files.append({path.relative_to(layout.path) for path in layout.path.rglob("*")})
        for file in infos[-1].files:
            stamped = documents[-1][file.process]
            assert began_ns < stamped.start_ns < stamped.end_ns < time.monotonic_ns()
            assert (file.start_ns, file.end_ns, file.error) == (stamped.start_ns, stamped.end_ns, None)
            assert file.changes == sum(len(thread.t_ns) for thread in stamped.threads) > 10
            assert file.cpu_s > 0
        assert read_source(layout)["rank.py:3"] == "poll()"
        said = (layout.logs / "py-spy-scheduler_TP0.log").read_text()
        assert said.startswith("said of the profile\n")
        assert "chrome trace" in said
    ours, theirs = infos
    assert [(file.process, file.pid) for file in ours.files] == [(file.process, file.pid) for file in theirs.files]
    assert files[0] == files[1]
    for rank in RANKS:
        assert {"work", "wait"} <= functions(documents[0][rank]) & functions(documents[1][rank])
    assert one.send("GET", "/hello")[0] == 200
    one.until(lambda: "stamps scheduler_TP0" in one.log and not one.children())


@pytest.mark.live
def test_what_an_agent_with_another_clock_stamps_is_put_onto_the_drivers(agent, titled, layout, until):
    if subprocess.run([*ANOTHER_CLOCK, "true"], check=False).returncode:
        pytest.skip("no clock of its own can be made here")
    one = agent(before=ANOTHER_CLOCK)
    there = remote(one, titled)
    stamper = there.stamper(ranks_of(there), layout, PLAN)
    began_ns = time.monotonic_ns()
    stamper.start()
    until(lambda: one.profilers() and have_looked(one.process.pid, 2))
    info = stamper.stop()
    error_ms = there.agent().clock_error_ms
    assert [file.error for file in info.files] == [None, None]
    for file in info.files:
        slack_ns = file.clock_error_ms * 1e6
        assert file.clock_error_ms > error_ms > 0
        assert began_ns - slack_ns < file.start_ns < file.end_ns < time.monotonic_ns() + slack_ns


@pytest.mark.live
def test_an_agent_that_is_killed_is_said_of_each_process(agent, titled, layout, until):
    one = agent()
    there = remote(one, titled)
    stamper = there.stamper(ranks_of(there), layout, PLAN)
    stamper.start()
    until(lambda: len(one.profilers()) == 2)
    one.end(signal.SIGKILL)
    info = stamper.stop()
    assert [file.process for file in info.files] == list(RANKS)
    for file in info.files:
        assert file.start_ns is None
        assert "broke off" in file.error or "is gone" in file.error
    assert not list(layout.stacks.iterdir())


@pytest.mark.live
def test_a_second_profile_at_once_is_refused_in_words(agent, titled, layout, tmp_path, until):
    one = agent()
    there = remote(one, titled)
    profiler = there.profiler(ranks_of(there), create_run_folder(tmp_path, "other"), ProfilePlan())
    profiler.start()
    assert profiler.wait_until_sampling(60)
    stamper = there.stamper(ranks_of(there), layout, PLAN)
    stamper.start()
    assert {file.error for file in stamper.stop().files} == {
        f"the agent at {one.url}: a profile is under way already: two at once would disturb each other"
    }
    assert {file.error for file in profiler.stop().files} <= {None}
    stamper = there.stamper(ranks_of(there), layout, PLAN)  # as soon as the profile is over
    stamper.start()
    until(one.profilers)
    assert "under way" not in str(stamper.stop())


# By an agent that says what it is told to

AHEAD_NS = 7_000_000_000_000
READ_WITHIN_NS = 400


class PlantedStream:
    """Lines, each an exception that befalls the connection or made when it is read, until it is closed."""

    def __init__(self, lines):
        self.lines, self.closed = lines, False

    def __iter__(self):
        for line in self.lines:
            if self.closed:
                return
            if isinstance(line, Exception):
                raise line
            yield line() if callable(line) else line

    def end(self):
        pass

    def close(self):
        self.closed = True


class PlantedLink:
    """An agent with a clock that is ahead, and what it says when it is asked for a stream."""

    url = "http://gpu-1:5560"

    def __init__(self, lines):
        self.lines = lines

    def round_trips(self):
        yield 0, READ_WITHIN_NS + AHEAD_NS, 2 * READ_WITHIN_NS

    def stream(self, path, body):
        self.path, self.body = path, body
        return PlantedStream(self.lines)

    def trouble(self, said):
        return ServerError(f"the agent at {self.url}: {said}")


def stamps(start_ns=None, **other):
    """Of one thread, from when the agent was asked on, by its clock."""
    start_ns = time.monotonic_ns() + AHEAD_NS if start_ns is None else start_ns
    thread = StampedThread(name="MainThread", t_ns=[start_ns, start_ns + 3_000], stack=[0, 1])
    stacks = ["loop (a.py:1)", "loop (a.py:1);work (a.py:9)"]
    fields = {"start_ns": start_ns, "end_ns": start_ns + 9_000, "clock_error_ns": 50, "rate_hz": 100, "errors": 2}
    return StampedStacks(**{**fields, "stacks": stacks, "threads": [thread], **other})


def sent(name, content, folder="stacks"):
    text = content if isinstance(content, str) else encode_document(content).decode()
    return FileLine(folder=folder, name=name, text=text)


def done(*files):
    return Done(stamped=StampedInfo(rate_hz=200, files=list(files)))


def stamper_of(link, layout):
    processes = [
        ServerProcess(pid=pid, start_ticks=1, name=rank, role="scheduler", rank=pid - 1)
        for pid, rank in enumerate(RANKS, 1)
    ]
    request = SampleRequest(sought=Sought(port=1), processes=[ProcessId(1, 1), ProcessId(2, 1)])
    return RemoteStamper(link, AgentClock(link, "another boot"), request, processes, layout, PLAN)


def stamped_by(layout, *lines):
    """What is made of lines: files by process, and warnings."""
    link = PlantedLink(lines)
    stamper = stamper_of(link, layout)
    stamper.start()
    stamper._thread.join()
    info = stamper.stop()
    assert (link.path, link.body.rate_hz, link.body.duration_s) == ("/stamp", 200, 60)
    assert [(file.process, file.pid) for file in info.files] == [("scheduler_TP0", 1), ("scheduler_TP1", 2)]
    return {file.process: file for file in info.files}, stamper.warnings


def good_tp1():
    return sent("scheduler_TP1.stamped.json", stamps())


def test_all_times_are_moved_by_the_offset_and_its_error_is_added(layout):
    told = stamps()
    said = StampedFile(process=RANKS[0], pid=1, start_ns=1, end_ns=2, changes=99, cpu_s=0.5, clock_error_ms=0.0)
    files, warnings = stamped_by(layout, Alive(), lambda: sent("scheduler_TP0.stamped.json", stamps()), done(said))
    here, file = read_stamped(layout, RANKS[0]), files[RANKS[0]]
    assert 0 < here.start_ns - (told.start_ns - AHEAD_NS) < 60e9
    assert here.end_ns - here.start_ns == 9_000
    assert here.threads[0].t_ns == [here.start_ns, here.start_ns + 3_000]
    assert here.clock_error_ns == 50 + READ_WITHIN_NS
    assert (file.start_ns, file.end_ns, file.changes, file.errors) == (here.start_ns, here.end_ns, 2, 2)
    assert (file.clock_error_ms, file.cpu_s, file.error) == (here.clock_error_ns / 1e6, 0.5, None)
    assert warnings == []


def test_why_there_is_nothing_of_a_process_is_the_agents_word(layout):
    said = StampedFile(process=RANKS[0], pid=1, errors=4, cpu_s=0.25, error="py-spy hung")
    files, _ = stamped_by(layout, done(said, StampedFile(process="somebody", pid=7)))
    assert (files[RANKS[0]].error, files[RANKS[0]].errors, files[RANKS[0]].cpu_s) == ("py-spy hung", 4, 0.25)
    assert files[RANKS[1]].error == "the agent has sent none"


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (ServerError("the agent at http://gpu-1:5560 has said nothing for 10 s"), "has said nothing for 10 s"),
        (Failed("the disk is full"), "gpu-1:5560: the disk is full"),
        (Alive(), "its stacks broke off"),
        (
            sent("scheduler_TP2.stamped.json", "{}"),
            "sends a file 'scheduler_TP2.stamped.json' that it was not asked for",
        ),
        (sent("scheduler_TP1.folded", "a 1"), "sends a file 'scheduler_TP1.folded' that it was not asked for"),
        (sent("../plan.json", "{}"), "sends a file '../plan.json' that it was not asked for"),
        (sent("server.log", "", "logs"), "sends a file 'server.log' that it was not asked for"),
        (good_tp1, "that it was not asked for"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_came_before_an_agent_failed_or_sent_what_nobody_asked_for_is_kept(layout, last, words):
    files, _ = stamped_by(layout, good_tp1, last)
    assert files[RANKS[1]].error is None
    assert read_stamped(layout, RANKS[1]) is not None
    assert words in files[RANKS[0]].error
    assert {path.name for path in layout.path.rglob("*") if path.is_file()} == {"scheduler_TP1.stamped.json"}


DAY_NS = 86_400_000_000_000
THREAD = StampedThread(name="MainThread", t_ns=[1], stack=[0])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        ('{"x":' + "[" * 100_000, "recursion"),
        (lambda: stamps(time.monotonic_ns()), "times before it was asked"),
        (lambda: stamps(time.monotonic_ns() + AHEAD_NS + DAY_NS), "times that are yet to come"),
        (lambda: stamps(time.monotonic_ns() + AHEAD_NS - DAY_NS, clock_error_ns=DAY_NS), "times before it was asked"),
        (lambda: stamps(2**63 - 10_000), "times that are yet to come"),
        (lambda: stamps(-(2**63) + 10), "times before it was asked"),
        (lambda: stamps(end_ns=0), "a window or an error below 0"),
        (lambda: stamps(clock_error_ns=-(2**40)), "a window or an error below 0"),
        (lambda: stamps(threads=[THREAD]), "times outside its own window"),
        (lambda: stamps(stacks=["a (b.py:1)"]), "a stack that it does not have"),
        (lambda: stamps(threads=[msgspec.structs.replace(THREAD, stack=[0, 1])]), "1 times and 2 stacks of one thread"),
        (lambda: stamps(rate_hz=1e9), "Expected `float` <= 1000.0"),
    ],
)
def test_stacks_that_can_not_be_so_are_refused_in_words_and_the_others_are_kept(layout, content, words):
    write_source(layout, {"rank.py:3": "poll()"})
    bad = (
        (lambda: sent("scheduler_TP0.stamped.json", content()))
        if callable(content)
        else sent("scheduler_TP0.stamped.json", content)
    )
    files, _ = stamped_by(layout, bad, good_tp1, done())
    assert files[RANKS[0]].error.startswith("what the agent sent is damaged: ")
    assert words in files[RANKS[0]].error
    assert files[RANKS[0]].start_ns is None
    assert files[RANKS[1]].error is None
    assert {path.name for path in layout.stacks.iterdir()} == {"source.json", "scheduler_TP1.stamped.json"}


def test_source_lines_join_those_of_the_profile_and_damaged_ones_are_a_warning(layout):
    write_source(layout, {"rank.py:3": "poll()"})
    _, warnings = stamped_by(layout, sent("source.json", SourceLines({"rank.py:9": "hash()"})), done())
    assert (read_source(layout), warnings) == ({"rank.py:3": "poll()", "rank.py:9": "hash()"}, [])
    _, warnings = stamped_by(layout, sent("source.json", "{"), good_tp1, done())
    assert warnings == ["no source lines of the stacks with their times: Input data was truncated"]
    assert len(read_source(layout)) == 2


def test_what_can_not_be_written_is_raised(layout):
    layout.stacks.rmdir()
    with pytest.raises(FolderError, match="cannot write"):
        stamped_by(layout, good_tp1, done())


def test_an_agent_that_only_says_that_it_lives_is_not_waited_for(layout, monkeypatch):
    monkeypatch.setattr("mmload.observe.remote_stream._MOST_S", 0.01)
    stamper = stamper_of(PlantedLink(itertools.repeat(Alive())), layout)
    stamper.start()
    assert {file.error for file in stamper.stop().files} == {"the agent at http://gpu-1:5560: its stacks broke off"}
