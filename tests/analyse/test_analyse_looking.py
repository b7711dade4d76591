"""The profiled window beside the measured one: what is chance, what is the profiler's doing, what is no evidence."""

import msgspec
import numpy as np
import pytest
from factory import START_NS, S, make_run
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse.blocks import median_bounds
from mmload.analyse.cpu import process_series
from mmload.analyse.cpu_work import work_shares
from mmload.analyse.load import Window, measure_window
from mmload.analyse.looking import compare, distrust, looking, looking_warnings
from mmload.analyse.summary import summarise
from mmload.judge.evidence import Rounds
from mmload.judge.figures import Terms
from mmload.judge.metrics_server import cpu_work_pct
from mmload.model.manifest import LookingCost, Phase, ProfileSegment, Stall
from mmload.model.records import ProcessSample, RequestRecord
from mmload.store.append import write_document
from mmload.store.read import Run
from mmload.store.requests import table_of

MEASURED = Window(START_NS, START_NS + 40 * S, complete=True)
PROFILED = Window(START_NS + 45 * S, START_NS + 55 * S, complete=True)


def requests(rate_rps, service_ms, window, rng):
    due_ns = window.start_ns + np.sort(rng.random(round(rate_rps * window.length_s)) * window.length_s * S)
    took_ns = service_ms * 1e6 * np.exp(0.1 * rng.standard_normal(len(due_ns)))
    for due, took in zip(due_ns.astype(int).tolist(), took_ns.astype(int).tolist(), strict=True):
        yield RequestRecord(
            id=f"{due}",
            phase="measure" if window is MEASURED else "profile",
            item="one",
            modality="image",
            due_ns=due,
            sent_ns=due,
            done_ns=due + took,
            status=200,
            outcome="ok",
        )


def samples(name, measured_pct, profiled_pct):
    """Five a second from before the first window to after the second."""
    cpu_s = 0.0
    for t_ns in range(START_NS - S, PROFILED.end_ns + S, S // 5):
        cpu_s += (measured_pct if t_ns < PROFILED.start_ns else profiled_pct) / 100 / 5
        yield ProcessSample(
            t_ns=t_ns,
            pid=len(name),
            start_ticks=1,
            role="scheduler",
            rank=0,
            cpu_s=cpu_s,
            rss_bytes=0,
            uss_bytes=None,
            threads=1,
            ctx_voluntary=0,
            ctx_involuntary=0,
            fds=None,
            name=name,
        )


def compared(rate_rps=(100, 100), service_ms=(50, 50), cpu_pct=(40, 40), windows=(MEASURED, PROFILED), seed=1):
    """Each pair: in the measured window, in the profiled one."""
    rng = np.random.default_rng(seed)
    measured, profiled = windows
    records = [
        *requests(rate_rps[0], service_ms[0], MEASURED, rng),
        *requests(rate_rps[1], service_ms[1], PROFILED, rng),
    ]
    processes = process_series([*samples("busy", *cpu_pct), *samples("steady", 40, 40), *samples("calm", 1, 3)])
    return compare(table_of(records), processes, profiled, measured)


@given(st.integers(0, 2**32), st.sampled_from([1, 10, 100, 500]))
def test_the_same_load_gives_ratios_near_one_and_no_complaint(seed, rate_rps):
    found = compared(rate_rps=(rate_rps, rate_rps), seed=seed)
    assert (found.slowed, found.no_evidence) == ([], {})
    for ratio in (found.rate, found.service_p50, *found.cpu_per_request.values()):
        assert ratio is None or ratio.low <= ratio.value
    if rate_rps >= 100:
        assert found.load.low <= 1 <= found.load.high


@pytest.mark.parametrize("rate_rps", [0, 50, 150])
def test_another_load_makes_every_stack_no_evidence(rate_rps):
    found = compared(rate_rps=(100, rate_rps))
    assert found.load.value == pytest.approx(rate_rps / 100)
    assert found.no_evidence.keys() == {"busy", "steady", "calm"}
    assert "the requests per second" in found.no_evidence["steady"]
    assert looking_warnings(found)[0].startswith("the stacks of busy, calm, steady are no evidence: ")


@pytest.mark.parametrize("profiled_pct", [20, 60])
def test_a_process_that_burns_another_share_while_it_is_profiled_is_no_evidence_of_itself(profiled_pct):
    found = compared(cpu_pct=(40, profiled_pct))
    assert found.no_evidence.keys() == {"busy"}
    assert found.cpu_total["busy"].value == pytest.approx(profiled_pct / 40)
    assert found.cpu_per_request["busy"].value == pytest.approx(profiled_pct / 40, rel=0.05)
    assert found.cpu_total["calm"].value == pytest.approx(3), "of next to nothing is no difference"


def test_a_server_that_answers_later_while_it_is_profiled_was_slowed_and_its_stacks_are_evidence_all_the_same():
    found = compared(service_ms=(50, 70))
    (sentence,) = found.slowed
    assert sentence.startswith("while it was profiled the server was slower: its median service time was 1.4")
    assert found.no_evidence == {}
    assert looking_warnings(found) == [sentence]


def test_a_window_too_short_for_blocks_says_nothing():
    short = Window(PROFILED.start_ns, PROFILED.start_ns + 3 * S, complete=True)
    found = compared(rate_rps=(100, 10), cpu_pct=(40, 90), windows=(MEASURED, short))
    assert (found.load, found.rate, found.service_p50, found.cpu_total) == (None, None, None, {})
    assert (found.slowed, found.no_evidence) == ([], {})


@pytest.fixture
def profiled_run(tmp_path):
    """profiled_run(start_s, end_s) -> a run whose profile window is that part of it, counted from its measured one."""

    def make(start_s, end_s):
        run = make_run(tmp_path, "optimized", number=start_s)
        measured = measure_window(run)
        window = Phase(name="profile", start_ns=measured.start_ns + start_s * S, end_ns=measured.start_ns + end_s * S)
        segment = ProfileSegment(start_ns=0, end_ns=1, samples=1, errors=0, cpu_s=0.5)
        profile = run.manifest.profile
        files = [msgspec.structs.replace(file, segments=[segment, segment]) for file in profile.files]
        manifest = msgspec.structs.replace(
            run.manifest,
            phases=[*run.manifest.phases, window],
            profile=msgspec.structs.replace(profile, files=files),
            looking=LookingCost(span_s=50, driver_cpu_s=2, sampling_cpu_s=0.5, scraping_cpu_s=0.1),
        )
        write_document(run.layout.manifest, manifest)
        return Run(run.layout.path)

    return make


def test_the_summary_states_what_looking_cost(profiled_run):
    summary = summarise(profiled_run(20, 30))
    looked = summary.looking
    assert (looked.driver_pct, looked.sampling_pct, looked.scraping_pct) == (4, 1, 0.2)
    assert looked.py_spy_pct == {"scheduler_TP0": 10, "scheduler_TP1": 10}
    assert looked.cpu_total["scheduler_TP0"].value == pytest.approx(1, rel=0.01)
    assert (looked.no_evidence, looked.slowed) == ({}, [])


def test_work_is_not_judged_by_a_window_with_another_load(profiled_run):
    terms = Terms(confidence=0.95, design_effect=20)
    like, unlike = profiled_run(20, 30), profiled_run(40, 45)  # the last request is due at 40
    assert cpu_work_pct(Rounds([like]), terms).value is not None
    figure = cpu_work_pct(Rounds([unlike]), terms)
    assert figure.value is None
    assert "scheduler_TP0: the profile window had 0.00 times" in figure.obstacle
    assert any("are no evidence" in warning for warning in summarise(unlike).warnings)


@pytest.mark.parametrize(
    ("start_s", "end_s", "is_evidence"),
    [(22, 24, False), (25, None, False), (24, 24.5, True), (35, 39, True), (0, 12, False)],
)
def test_a_stall_in_one_of_the_windows_makes_the_shares_no_evidence(profiled_run, start_s, end_s, is_evidence):
    run = profiled_run(20, 30)
    measured = measure_window(run)
    start_ns = measured.start_ns
    stall = Stall(
        start_ns=start_ns + start_s * S,
        end_ns=None if end_s is None else start_ns + round(end_s * S),
        seen="scheduler_TP1 is stopped",
    )
    write_document(run.layout.manifest, msgspec.structs.replace(run.manifest, stalls=[stall]))
    stalled = Run(run.layout.path)
    found = looking(stalled, process_series(stalled.processes), measured)
    assert (found.no_evidence == {}) == is_evidence
    if not is_evidence:
        assert found.no_evidence["scheduler_TP0"].startswith("the server stood still for ")


def test_a_poor_profile_keeps_its_own_trouble(profiled_run):
    run = profiled_run(40, 45)
    found = looking(run, process_series(run.processes), measure_window(run))
    shares = work_shares(run)
    poor = {name: msgspec.structs.replace(share, trouble="poor") for name, share in shares.items()}
    assert {share.trouble for share in distrust(poor, found).values()} == {"poor"}
    assert all("the requests per second" in share.trouble for share in distrust(shares, found).values())


@given(st.lists(st.floats(0.1, 1e6), min_size=5, max_size=40), st.floats(1.5, 100))
def test_blocks_that_are_all_longer_show_it_whatever_their_shape(blocks, factor):
    bounds = median_bounds(np.array(blocks), 0.975)
    scaled = median_bounds(np.array(blocks) * factor, 0.975)
    assert bounds[0] <= np.median(blocks) <= bounds[1]
    assert scaled == pytest.approx([factor * bound for bound in bounds])


def test_too_few_blocks_have_no_median():
    assert median_bounds(np.ones(4), 0.975) is None
