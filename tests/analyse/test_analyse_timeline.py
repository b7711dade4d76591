"""A run on one time axis: nothing is lost between the bins, and each says what happened in it."""

import math

import msgspec
import numpy as np
import pytest
from factory import START_NS, make_run
from hypothesis import given, settings
from hypothesis import strategies as st

from mmload.analyse.latency import nearest_rank, response_ms
from mmload.analyse.time_bins import MOST_BINS, Bins, Span
from mmload.analyse.timeline import _in_flight, timeline
from mmload.errors import UsageError
from mmload.model.records import GpuSample, HostSample, RequestRecord
from mmload.store.append import LineWriter, write_document
from mmload.store.read import Run, read_lines
from mmload.store.requests import ABSENT

S = 1_000_000_000


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """12 s at 100 requests/s after 2 s of warm-up; what came due in the sixth second of it was refused."""
    refused = dict.fromkeys(range(500, 600), "http_error")
    return make_run(tmp_path_factory.mktemp("run"), duration_s=12, outcomes=refused, build_ms={"scheduler_TP0": 1.0})


def test_no_request_is_lost_between_the_bins(run):
    for bin_s in (None, 0.3, 7.0):
        axis = timeline(run, bin_s)
        series = axis.series
        assert sum(series["offered_rps"]) * axis.bin_s == pytest.approx(len(run.requests))
        assert sum(series["achieved_rps"]) * axis.bin_s == pytest.approx(int(run.requests.is_ok.sum()))
        assert sum(series["errors"]) == 100


def test_bins_begin_where_the_measure_window_does_and_know_their_phase(run):
    axis = timeline(run)
    assert axis.bin_s == 1.0
    assert [phase for t, phase in zip(axis.t_s, axis.phase, strict=True) if 0 <= t < 12] == ["measure"] * 12
    assert [phase for t, phase in zip(axis.t_s, axis.phase, strict=True) if -2 <= t < 0] == ["warmup"] * 2
    assert 0.0 in axis.t_s
    assert "" in axis.phase


def test_percentiles_are_exact_in_each_bin(run):
    axis = timeline(run)
    due_ns, values = run.requests.due_ns, response_ms(run.requests)
    origin_ns = START_NS + 2 * S
    for place, t_s in enumerate(axis.t_s):
        within = np.sort(values[(due_ns >= origin_ns + t_s * S) & (due_ns < origin_ns + (t_s + 1) * S)])
        for p, name in ((0.5, "response_p50_ms"), (0.99, "response_p99_ms")):
            found = axis.series[name][place]
            assert math.isnan(found) if not len(within) else found == within[nearest_rank(p, len(within)) - 1]


def test_a_request_that_was_due_after_all_that_is_known_has_a_bin_too(tmp_path):
    run = make_run(tmp_path, duration_s=3)
    records = [*read_lines(run.layout.requests, RequestRecord)]
    late = msgspec.structs.replace(records[0], id="late", due_ns=START_NS + 60 * S)
    with LineWriter(run.layout.requests) as writer:
        writer.write(late)
    axis = timeline(Run(run.layout.path))
    assert axis.series["offered_rps"][-1] == 1


def test_where_nothing_was_right_no_time_was_long_enough(run):
    axis = timeline(run, 12.0)
    assert axis.series["response_p99_ms"][axis.t_s.index(0.0)] == math.inf


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 30)), min_size=1, max_size=30))
def test_the_most_in_flight_is_that_of_a_count_by_hand(requests):
    sent_ns = np.array([sent for sent, _ in requests], np.int64)
    ended_ns = sent_ns + np.array([length for _, length in requests], np.int64)
    bins = Bins(np.arange(0, 131, 10), 0)
    by_hand = [
        max(int(((sent_ns <= t) & (ended_ns > t)).sum()) for t in range(start, start + 10))
        for start in range(0, 130, 10)
    ]
    assert _in_flight(sent_ns, ended_ns, bins).tolist() == by_hand


def test_a_request_that_was_never_sent_is_never_in_flight():
    assert _in_flight(np.array([ABSENT, 3]), np.array([5, 7]), Bins(np.array([0, 10]), 0)).tolist() == [1]


def test_cpu_and_memory_of_every_process_are_in_the_bins(run):
    axis = timeline(run)
    measured = [t >= 0 and phase == "measure" for t, phase in zip(axis.t_s, axis.phase, strict=True)]
    assert axis.series["cpu_pct.scheduler_TP1"][measured] == pytest.approx(30, abs=1)
    assert axis.series["cpu_pct.generator-0"][measured] == pytest.approx(10, abs=1)
    assert axis.series["rss_bytes.tokenizer"][measured] == pytest.approx(5e8)
    assert axis.series["host_busy_pct"][measured] == pytest.approx(50, abs=1)
    assert axis.series["running"][measured] == pytest.approx(3)
    assert math.isnan(axis.series["cpu_pct.tokenizer"][0])  # identity, before the first sample


def test_what_was_never_sampled_is_left_out(run, tmp_path):
    bare = make_run(tmp_path, duration_s=5)
    bare.layout.host.unlink()
    assert "host_busy_pct" not in timeline(Run(bare.layout.path)).series
    assert "queued" not in timeline(run).series


def test_gpus_are_in_the_bins_where_they_were_sampled(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    run.layout.host.unlink()
    with LineWriter(run.layout.host) as writer:
        for second in range(12):
            writer.write(
                HostSample(
                    t_ns=START_NS + second * S,
                    cpu_busy_s=float(second),
                    cores=4,
                    load_1m=1.0,
                    memory_available_bytes=1,
                    memory_total_bytes=2,
                    net_bytes_sent=0,
                    net_bytes_received=0,
                    shm_used_bytes=1000 + second,
                    gpus=[GpuSample(index=1, name="H", kernel_ran_pct=70.0, memory_used_bytes=second)],
                )
            )
    axis = timeline(Run(run.layout.path))
    place = axis.t_s.index(0.0)
    assert axis.series["gpu1.kernel_ran_pct"][place] == 70
    assert axis.series["gpu1.memory_used_bytes"][place] == 2
    assert math.isnan(axis.series["gpu1.power_w"][place])
    assert axis.series["shm_used_bytes"][place] == 1002
    assert axis.series["host_busy_pct"][place] == pytest.approx(25)


def test_one_bin_that_samples_missed_stands_where_the_last_one_stood():
    bins = Bins(np.arange(0, 7) * S, 0)
    t_ns = np.array([0.1, 1.1, 3.0, 5.9]) * S
    values = bins.mean(t_ns.astype(np.int64), np.array([1.0, 2.0, 4.0, 8.0]))
    assert values.tolist() == [1, 2, 2, 4, 4, 8]
    gap = bins.most(t_ns[[0, 3]].astype(np.int64), np.array([1.0, 8.0]))
    assert np.isnan(gap).tolist() == [False, True, True, True, True, False]


def test_long_runs_have_longer_bins_and_too_many_are_refused(run):
    assert Bins.over(Span(0, 301 * S), 0, None).step_ns == 2 * S
    assert len(Bins.over(Span(0, 30 * 86_400 * S), 0, None)) <= 301
    with pytest.raises(UsageError, match="are too many"):
        timeline(run, 20 / MOST_BINS)


def test_a_run_that_sent_nothing_has_no_time_axis(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    write_document(run.layout.manifest, msgspec.structs.replace(run.manifest, phases=[]))
    run.layout.requests.write_bytes(b"")
    assert timeline(Run(run.layout.path)) is None


def test_a_run_that_was_killed_has_its_time_axis_as_far_as_it_came(tmp_path):
    run = make_run(tmp_path, status="running", ends_after_s=7)
    axis = timeline(run)
    assert axis.t_s[-1] >= 4
    assert sum(axis.series["offered_rps"]) == pytest.approx(len(run.requests))


def test_a_run_that_broke_off_has_no_bins_after_that_and_its_dropped_requests_are_in_none(tmp_path):
    run = make_run(tmp_path, status="failed", duration_s=10, ends_after_s=5.4, error="the server died")
    assert (run.requests.sent_ns == ABSENT).sum() > 600
    axis = timeline(run)
    assert (axis.t_s[-1], axis.phase[-1]) == (3.0, "measure")
    assert sum(axis.series["errors"]) < 50
    assert np.isfinite(axis.series["offered_rps"]).tolist() == [True] * (len(axis.t_s) - 1) + [False]


@settings(deadline=None)
@given(st.floats(0.01, 0.99))
def test_the_rate_of_a_bin_that_a_run_broke_off_in_is_over_the_part_of_it_that_there_was(part):
    until_ns = round((3 + part) * S)
    bins = Bins(np.arange(0, 5) * S, 0, until_ns)
    rates = bins.rate(np.arange(0, until_ns, S // 1000))
    assert rates[:3] == pytest.approx(1000)
    assert math.isnan(rates[3]) if part < 0.5 else rates[3] == pytest.approx(1000, rel=0.01)


def test_a_closed_loop_offers_nothing(tmp_path):
    series = timeline(make_run(tmp_path, duration_s=3, concurrency=4)).series
    assert "offered_rps" not in series
    assert "achieved_rps" in series


def test_the_axis_says_when_each_bin_was_and_how_many_requests_the_fullest_has(run):
    axis = timeline(run)
    assert axis.edges_ns[axis.t_s.index(0.0)] == run.manifest.phases[1].start_ns
    assert set(np.diff(axis.edges_ns)) == {S}
    due_s = (run.requests.due_ns - axis.origin_ns) // S
    assert axis.most_due == np.unique(due_s, return_counts=True)[1].max()


def test_what_mmload_did_not_wait_for_as_it_was_ended_itself_is_no_error_of_the_server(tmp_path):
    """A failed run's records under the manifest of one that was interrupted: three in flight, the rest never sent."""
    run = make_run(tmp_path, status="failed", duration_s=10, ends_after_s=5.9, error="interrupted by signal 2")
    failed = timeline(run)
    write_document(run.layout.manifest, msgspec.structs.replace(run.manifest, status="partial"))
    interrupted = timeline(Run(run.layout.path))
    assert sum(failed.series["errors"]) > 0 == sum(interrupted.series["errors"])
    assert np.isfinite(interrupted.series["response_p99_ms"][interrupted.t_s.index(3.0)])
    assert interrupted.series["offered_rps"].tolist() == failed.series["offered_rps"].tolist()
