"""An agent as an observer: the same figures as those of a local one, on the driver's clock."""

import os
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import trustme
from agents import TOKEN_VARIABLE, TitledServer

from mmload.analyse.cpu import process_series, total_pct
from mmload.analyse.load import Window
from mmload.clocks import clock_id
from mmload.errors import RunInvalid, ServerError, UsageError
from mmload.model.manifest import AgentInfo
from mmload.model.plan import AgentPlan, ProfilePlan
from mmload.model.records import HostSample, ProcessSample
from mmload.observe.agent_link import AgentClock, clock_warnings
from mmload.observe.agent_protocol import Sought, file_name
from mmload.observe.local import LocalObserver
from mmload.observe.remote import RemoteObserver
from mmload.store.append import create_run_folder
from mmload.store.read import read_folded, read_lines

ANOTHER_CLOCK = ("unshare", "--time", "--monotonic", "1000")  # seconds that its CLOCK_MONOTONIC is ahead by


@pytest.fixture
def titled():
    server = TitledServer("sglang::scheduler_TP0", "sglang::scheduler_TP1")
    yield server
    server.end()


@pytest.fixture
def remote():
    """remote(agent, server) -> its observer."""
    return lambda one, server: RemoteObserver(AgentPlan(url=one.url), Sought(port=server.port))


def samples(layout):
    return list(read_lines(layout.processes, ProcessSample))


def share_of(layout, name, function):
    """Of the samples of a process, those with a function in their stack; and how many samples there are."""
    stacks = read_folded(layout.folded(name))
    total = sum(stacks.values())
    return sum(count for stack, count in stacks.items() if function in stack) / total, total


@pytest.mark.live
def test_two_observers_of_one_server_see_the_same(agent, titled, remote, tmp_path, until):
    here, there = LocalObserver(port=titled.port), remote(agent(), titled)
    assert there.find() == here.find()
    assert there.states(there.find()).keys() == here.states(here.find()).keys()
    layouts = {observer: create_run_folder(tmp_path, name) for name, observer in (("here", here), ("there", there))}
    samplers = [observer.sampler(observer.find(), layout) for observer, layout in layouts.items()]
    ranks = [process for process in here.find() if process.role == "scheduler"]
    plan = ProfilePlan(rate_hz=100, duration_s=5)
    profilers = [observer.profiler(ranks, layout, plan) for observer, layout in layouts.items()]
    for one in (*samplers, *profilers):
        one.start()
    until(
        lambda: all(
            samples(layout) and samples(layout)[-1].t_ns - samples(layout)[0].t_ns > 4e9 for layout in layouts.values()
        )
    )
    assert {process.name for process in there.find()} >= {"scheduler_TP0", "scheduler_TP1"}
    infos = [profiler.stop() for profiler in profilers]
    for sampler in samplers:
        sampler.stop()

    ours, theirs = (process_series(samples(layout)) for layout in layouts.values())
    assert ours.keys() == theirs.keys() == {"tokenizer", "scheduler_TP0", "scheduler_TP1"}
    for name in ours:
        first_ns = max(ours[name].t_ns[0], theirs[name].t_ns[0])
        last_ns = min(ours[name].t_ns[-1], theirs[name].t_ns[-1])
        window = Window(int(first_ns), int(last_ns), complete=True)
        ticks_pct = 100 * 0.04 / window.length_s  # two clock ticks of 10 ms at each end, for each of the two
        assert total_pct(theirs[name], window) == pytest.approx(total_pct(ours[name], window), abs=ticks_pct)
    assert total_pct(ours["scheduler_TP0"], window) > 20

    for rank in ("scheduler_TP0", "scheduler_TP1"):
        (mine, n), (its, m) = (share_of(layout, rank, "work (") for layout in layouts.values())
        assert min(n, m) > 30
        assert its == pytest.approx(mine, abs=5 * np.sqrt(mine * (1 - mine) * (1 / n + 1 / m)))
    ours_info, their_info = infos
    assert [(file.process, file.error) for file in their_info.files] == [
        (file.process, file.error) for file in ours_info.files
    ]
    shared = [{path.name for path in layout.stacks.iterdir()} for layout in layouts.values()]
    assert shared[0] == shared[1]


@pytest.mark.live
def test_what_an_agent_with_another_clock_sees_is_put_onto_the_drivers(agent, titled, remote, tmp_path, until):
    if subprocess.run([*ANOTHER_CLOCK, "true"], check=False).returncode:
        pytest.skip("no clock of its own can be made here")
    one = agent(before=ANOTHER_CLOCK)
    began_ns = time.monotonic_ns()
    there = remote(one, titled)
    layout = create_run_folder(tmp_path, "run")
    sampler = there.sampler(there.find(), layout)
    profiler = there.profiler(there.find(), layout, ProfilePlan(duration_s=2))
    sampler.start()
    profiler.start()
    assert profiler.wait_until_sampling(60)
    until(lambda: samples(layout))
    info = profiler.stop()
    sampler.stop()
    ended_ns = time.monotonic_ns()

    said = there.agent()
    error_ns = said.clock_error_ms * 1e6
    assert abs(said.clock_offset_ns + 1000e9) <= error_ns + 1
    assert 0 < said.clock_error_ms < 1000
    assert abs(said.clock_drift_ms) <= 2 * said.clock_error_ms
    times = [sample.t_ns for sample in samples(layout)]
    times += [sample.t_ns for sample in read_lines(layout.host, HostSample)]
    times += [t for file in info.files for segment in file.segments for t in (segment.start_ns, segment.end_ns) if t]
    assert began_ns - error_ns <= min(times)
    assert max(times) <= ended_ns + error_ns
    assert {sample.host for sample in read_lines(layout.host, HostSample)} == {said.host}


@pytest.mark.live
def test_dumps_come_home_and_an_agent_that_is_gone_is_said(agent, titled, remote, tmp_path):
    one = agent()
    there = remote(one, titled)
    found = there.find()
    assert there.dump(found, tmp_path / "dumps") == []
    assert "sglang::scheduler_TP0" in (tmp_path / "dumps" / "scheduler_TP0.txt").read_text()
    assert (tmp_path / "dumps" / "tokenizer.txt").exists()
    one.end()
    (sentence,) = there.dump(found, tmp_path / "more")
    assert sentence == f"no dumps: no agent answers at {there.agent().url}"


@pytest.mark.live
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_agent_that_ends_costs_nothing_that_came_before(agent, titled, remote, tmp_path, until, number):
    one = agent()
    there = remote(one, titled)
    layout = create_run_folder(tmp_path, "run")
    found = there.find()
    sampler, profiler = there.sampler(found, layout), there.profiler(found, layout, ProfilePlan(duration_s=60))
    sampler.start()
    profiler.start()
    until(lambda: samples(layout) and layout.folded("scheduler_TP0").exists())
    one.end(number)
    until(lambda: sampler.failed)
    assert isinstance(sampler.failed, RunInvalid)
    assert str(sampler.failed).startswith(f"the agent at {there.agent().url}")
    with pytest.raises(RunInvalid):
        sampler.stop()
    info = profiler.stop()
    kept = sum(read_folded(layout.folded("scheduler_TP0")).values())
    (file,) = (file for file in info.files if file.process == "scheduler_TP0")
    assert file.samples == kept > 0
    if number == signal.SIGKILL:
        assert "broke off" in file.error or "is gone" in file.error


@pytest.mark.live
def test_an_agent_that_hangs_is_not_waited_for(agent, titled, remote, tmp_path, until):
    one = agent()
    there = remote(one, titled)
    layout = create_run_folder(tmp_path, "run")
    sampler = there.sampler(there.find(), layout)
    sampler.start()
    until(lambda: samples(layout))
    one.process.send_signal(signal.SIGSTOP)
    until(lambda: sampler.failed)
    one.process.send_signal(signal.SIGCONT)
    assert "has said nothing for 10 s" in str(sampler.failed)
    with pytest.raises(RunInvalid):
        sampler.stop()


@pytest.mark.live
def test_a_rank_that_is_restarted_on_the_other_host_is_found_anew(agent, titled, remote, tmp_path, until):
    there = remote(agent(), titled)
    before = there.find()
    sampler = there.sampler(before, create_run_folder(tmp_path, "run"))
    sampler.start()
    until(lambda: sampler.status)
    (rank,) = (process for process in before if process.name == "scheduler_TP1")
    os.kill(rank.pid, signal.SIGKILL)
    until(lambda: [process.name for process in sampler.lost()] == ["scheduler_TP1"])
    assert "scheduler_TP1" not in {process.name for process in there.find()}
    sampler.stop()


@pytest.mark.live
def test_tls_is_spoken_with_whom_somebody_vouches_for_and_with_nobody_else(agent, titled, tmp_path):
    authority, other = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    issued = authority.issue_cert("127.0.0.2")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert.pem", append=True)
    one = agent("--cert", tmp_path / "cert.pem", "--key", tmp_path / "key.pem")
    assert one.url.startswith("https://127.0.0.2:")
    sought = Sought(port=titled.port)
    there = RemoteObserver(AgentPlan(url=one.url, ca_file=str(tmp_path / "ca.pem")), sought)
    assert len(there.find()) == 3
    for ca_file in (None, str(tmp_path / "other.pem")):
        with pytest.raises(ServerError, match="nobody vouches") as refused:
            RemoteObserver(AgentPlan(url=one.url, ca_file=ca_file), sought)
        assert "--agent-ca" in refused.value.hint


@pytest.fixture
def plays_agent(monkeypatch):
    """plays_agent(status, text) -> URL of something that answers every request so."""
    monkeypatch.setenv(TOKEN_VARIABLE, "anything")
    servers = []

    def start(status, text):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "text", "words"),
    [
        (200, '{"protocol": 1, "version": "0.9"}', "is of mmload 0.9 .protocol 1., and this is mmload"),
        (200, "<html>", "answers, but not as an agent does"),
        (404, "not here", "answers, but not as an agent does"),
        (401, '{"error": "not permitted"}', "refuses the token in .MMLOAD_AGENT_TOKEN"),
        (503, '{"error": "busy", "hint": "later"}', "the agent at http.*: busy"),
    ],
)
def test_what_is_no_agent_for_this_driver_is_said_in_words(plays_agent, status, text, words):
    with pytest.raises(ServerError, match=words):
        RemoteObserver(AgentPlan(url=plays_agent(status, text)), Sought(port=1))


def test_an_agent_is_not_asked_without_its_token(monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with pytest.raises(UsageError, match="is not set"):
        RemoteObserver(AgentPlan(url="http://127.0.0.1:1"), Sought(port=1))


class PlantedLink:
    """An agent whose clock is ahead by a known time, behind trips of known lengths."""

    def __init__(self, ahead_ns, trips):
        self.ahead_ns = ahead_ns
        self.trips = trips

    def round_trips(self):
        for there_ns, back_ns in self.trips:
            yield 1000, 1000 + there_ns + self.ahead_ns, 1000 + there_ns + back_ns


def test_the_offset_is_that_of_the_shortest_trip_and_its_drift_is_kept():
    link = PlantedLink(5_000, [(900, 100), (20, 10), (400, 400)])
    clock = AgentClock(link, "another boot")
    assert clock.reading.error_ns == 15
    assert abs(clock.reading.offset_ns - 5_000) <= 15
    assert clock.here_ns(1_005_000) == 1_005_000 - clock.reading.offset_ns
    link.ahead_ns, link.trips = 9_000, [(10, 10)]
    clock.refresh()
    assert abs(clock.drift_ns - 4_000) <= 25


def test_a_process_of_the_same_boot_reads_the_same_clock():
    clock = AgentClock(PlantedLink(5_000, [(900, 100)]), clock_id())
    assert (clock.reading, clock.here_ns(7), clock.drift_ns) == ((0, 0), 7, 0)


@pytest.mark.parametrize(("error_ms", "warned"), [(0.0, False), (9.0, False), (250.0, True)])
def test_a_clock_that_is_badly_known_is_said_with_what_it_does(error_ms, warned):
    info = AgentInfo(url="u", host="gpu-1", version="1", clock_offset_ns=0, clock_error_ms=error_ms)
    warnings = clock_warnings(info)
    assert bool(warnings) == warned
    if warned:
        assert "the clock of gpu-1 is known to 250 ms" in warnings[0]
        assert "2.5 %" in warnings[0]


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/passwd", "", ".hidden", "a\n", "..", "x\0y", "é"])
def test_an_agent_can_name_no_file_but_one_of_the_folder(name):
    with pytest.raises(ServerError, match="names a file"):
        file_name(name)


@pytest.mark.parametrize("name", ["scheduler_TP0.folded", "source.json", "py-spy-other-1.log", "x.threads.json"])
def test_files_of_a_run_folder_are_taken(name):
    assert file_name(name) == name
