import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmload.errors import FolderError, UsageError
from mmload.model.plan import ClosedLoop, OpenLoop, Plan, ProfilePlan
from mmload.plan import arrivals_processes as processes
from mmload.plan.arrivals import (
    PHASES,
    PROFILE_LEAD_S,
    Schedule,
    build_schedule,
    closed_loop_items,
    main_windows,
    pool_size,
    profile_window,
)
from mmload.plan.arrivals_processes import Leg

MEASURE = PHASES.index("measure")


def rng(seed=0):
    return np.random.default_rng(seed)


def plan(load=None, reuse=0.0, **changes):
    workload = {"about": "", "rate_rps": 50.0, "reuse": reuse, "items": [{"modality": "text"}]}
    load = load or OpenLoop(rate_rps=100)
    return Plan(variant=None, workload_name="text", workload=workload, load=load, **changes)


def measured_ns(made):
    _, window = main_windows(made)
    main = build_schedule(made).main
    return main.due_offset_ns[main.phase == MEASURE] - window.start_ns


def ks_distance_to_exponential(gaps, mean):
    ordered = np.sort(gaps)
    law = 1 - np.exp(-ordered / mean)
    ranks = np.arange(len(gaps) + 1) / len(gaps)
    return max(np.max(ranks[1:] - law), np.max(law - ranks[:-1]))


points = st.one_of(
    st.builds(lambda n, seed: processes.poisson(n, rng(seed)), st.integers(0, 300), st.integers(0, 99)),
    st.builds(processes.constant, st.integers(0, 300)),
    st.builds(
        lambda n, cv, seed: processes.gamma(n, cv, rng(seed)),
        st.integers(0, 300),
        st.floats(0.05, 10),
        st.integers(0, 99),
    ),
)
rates = st.floats(0, 1000)
legs = st.lists(st.builds(Leg, st.floats(0.01, 100), rates, rates), min_size=1, max_size=5)


@given(points, legs)
@example(np.array([0.63696169]), [Leg(1.0, 1.8878311729957998e-255, 3.086280243636014e-211)])
@example(np.array([0.2, 0.9]), [Leg(1.0, 5e-324, 1e-310), Leg(1.0, 0.0, 0.0)])
def test_arrivals_are_sorted_inside_their_window_and_none_is_lost(at, profile):
    offsets = processes.at_rate(at, profile)
    assert len(offsets) == len(at)
    assert (np.diff(offsets) >= 0).all()
    assert ((offsets >= 0) & (offsets < round(sum(leg.duration_s for leg in profile) * 1e9))).all()


@given(legs)
def test_a_rate_profile_places_each_share_of_the_requests_where_that_share_is_expected(profile):
    expected = processes.expected_requests(profile)
    at = processes.constant(50)
    seconds = processes.at_rate(at, profile) / 1e9
    for share, second in zip(at, seconds, strict=True):
        so_far, left = 0.0, second
        for leg in profile:
            into = min(left, leg.duration_s)
            slope = (leg.to_rps - leg.from_rps) / leg.duration_s
            so_far += leg.from_rps * into + slope * into**2 / 2
            left -= into
        assert so_far == pytest.approx(share * expected, rel=1e-6, abs=1e-5)


def test_a_ramp_from_nothing_has_a_quarter_of_its_requests_in_the_first_half():
    offsets = processes.at_rate(processes.constant(1000), [Leg(10, 0, 200)])
    assert np.count_nonzero(offsets < 5e9) == pytest.approx(250, abs=1)


def test_steps_have_requests_in_proportion_to_their_rates():
    profile = processes.steps([10, 50, 20], step_s=2)
    assert processes.expected_requests(profile) == 160
    offsets = processes.at_rate(processes.constant(160), profile)
    assert np.histogram(offsets, bins=[0, 2e9, 4e9, 6e9])[0].tolist() == [20, 100, 40]


@pytest.mark.parametrize("seed", range(5))
def test_poisson_gaps_are_exponential(seed):
    gaps = np.diff(measured_ns(plan(seed=seed)))
    assert ks_distance_to_exponential(gaps, 1e7) < 1.36 / np.sqrt(len(gaps))  # 5 % level of the KS test


@pytest.mark.parametrize("seed", range(5))
def test_poisson_counts_vary_as_much_as_their_mean(seed):
    counts = np.histogram(measured_ns(plan(seed=seed)), bins=400, range=(0, 40e9))[0]
    assert 0.7 < counts.var() / counts.mean() < 1.3


def test_constant_arrivals_have_no_variation():
    gaps = np.diff(measured_ns(plan(OpenLoop(rate_rps=100, arrival="constant"))))
    assert gaps.std() / gaps.mean() < 1e-6


@pytest.mark.parametrize("cv", [0.3, 1.0, 2.0])
def test_gamma_gaps_have_the_variation_asked_for(cv):
    gaps = np.diff(measured_ns(plan(OpenLoop(rate_rps=100, arrival="gamma", cv=cv), duration_s=200)))
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.05)


@pytest.mark.parametrize("cv", [None, 0.0, -1.0, 11.0])
def test_gamma_without_a_usable_variation_is_refused(cv):
    with pytest.raises(UsageError, match="coefficient of variation"):
        build_schedule(plan(OpenLoop(rate_rps=100, arrival="gamma", cv=cv)))


@given(
    rate_rps=st.floats(1, 300),
    duration_s=st.floats(1, 20),
    warmup_s=st.floats(0, 5),
    arrival=st.sampled_from(["poisson", "constant"]),
)
@settings(max_examples=40)
def test_each_window_has_exactly_the_requests_that_its_rate_says(rate_rps, duration_s, warmup_s, arrival):
    made = plan(OpenLoop(rate_rps=rate_rps, arrival=arrival), duration_s=duration_s, warmup_s=warmup_s)
    schedule = build_schedule(made)
    for window in main_windows(made):
        due = schedule.main.due_offset_ns[schedule.main.phase == PHASES.index(window.phase)]
        assert len(due) == round(rate_rps * (window.end_ns - window.start_ns) / 1e9)
        assert ((due >= window.start_ns) & (due < window.end_ns)).all()
    assert (np.diff(schedule.main.due_offset_ns) >= 0).all()
    assert len(schedule.profile) == round(rate_rps * (PROFILE_LEAD_S + made.profile.duration_s))
    assert (schedule.profile.phase == PHASES.index("profile")).all()


def test_a_number_of_requests_decides_how_long_the_window_is():
    made = plan(requests=1000)
    assert len(measured_ns(made)) == 1000
    warmup, measure = main_windows(made)
    assert (measure.end_ns - measure.start_ns, measure.start_ns) == (10_000_000_000, warmup.end_ns)


def test_a_window_without_a_request_is_refused():
    with pytest.raises(UsageError, match="is no request"):
        build_schedule(plan(OpenLoop(rate_rps=0.1), duration_s=1))


def test_the_same_seed_gives_the_same_schedule_and_another_seed_another():
    assert build_schedule(plan()).main.sha256() == build_schedule(plan()).main.sha256()
    assert build_schedule(plan()).main.sha256() != build_schedule(plan(seed=1)).main.sha256()


def test_the_length_of_the_profile_leaves_the_measured_schedule_as_it_is():
    made = [plan(profile=ProfilePlan(duration_s=seconds)) for seconds in (5, 50)]
    made.append(plan(profile=ProfilePlan(enabled=False)))
    assert len({build_schedule(one).main.sha256() for one in made}) == 1
    assert build_schedule(made[-1]).profile is None
    assert profile_window(made[-1]) is None
    assert len({pool_size(one, build_schedule(one)).main for one in made}) == 1


def test_the_length_of_the_warmup_leaves_the_measured_arrivals_as_they_are():
    assert (measured_ns(plan(warmup_s=0)) == measured_ns(plan(warmup_s=7))).all()


@given(workers=st.integers(1, 9), rate_rps=st.floats(0.5, 40))
@settings(max_examples=25)
def test_the_shares_of_all_workers_are_the_schedule_once(workers, rate_rps):
    whole = build_schedule(plan(OpenLoop(rate_rps=rate_rps), duration_s=10)).main
    back = Schedule.of(np.empty(len(whole), np.int64), np.empty(len(whole), np.int32), np.empty(len(whole), np.uint8))
    for worker in range(workers):
        share = whole.share(worker, workers)
        for column in ("due_offset_ns", "item", "phase"):
            getattr(back, column)[worker::workers] = getattr(share, column)
    assert back.sha256() == whole.sha256()


def test_a_saved_schedule_comes_back_as_it_was(tmp_path):
    made = build_schedule(plan()).main
    made.save(tmp_path / "main.npy")
    back = Schedule.load(tmp_path / "main.npy")
    assert back.sha256() == made.sha256()
    assert back.share(1, 2).sha256() == made.share(1, 2).sha256()


def test_a_damaged_or_absent_schedule_is_named(tmp_path):
    (tmp_path / "main.npy").write_bytes(b"not numpy")
    for name in ("main.npy", "absent.npy"):
        with pytest.raises(FolderError, match=name):
            Schedule.load(tmp_path / name)
    with pytest.raises(FolderError, match="nowhere"):
        build_schedule(plan()).main.save(tmp_path / "nowhere" / "main.npy")


def test_without_reuse_every_request_of_the_run_has_an_item_of_its_own():
    schedule = build_schedule(plan())
    items = np.concatenate([schedule.main.item, schedule.profile.item])
    assert (items == np.arange(len(items))).all()
    assert pool_size(plan(), schedule) == (len(schedule.main), len(items))


@pytest.mark.parametrize("reuse", [0.25, 0.9])
def test_reuse_is_the_share_of_requests_that_repeat_an_earlier_item(reuse):
    items = build_schedule(plan(reuse=reuse, duration_s=100)).main.item
    first_time = np.zeros(len(items), bool)
    first_time[np.unique(items, return_index=True)[1]] = True
    assert 1 - first_time.mean() == pytest.approx(reuse, abs=0.02)
    assert (items <= np.maximum.accumulate(items)).all()
    assert (np.unique(items) == np.arange(items.max() + 1)).all()


def test_a_closed_loop_has_no_schedule_but_the_same_items_shared_among_workers():
    closed = plan(ClosedLoop(concurrency=4), reuse=0.5)
    assert build_schedule(closed) is None
    whole = closed_loop_items(closed)
    first, second = closed_loop_items(closed, 0, 2), closed_loop_items(closed, 1, 2)
    together = [number for _ in range(5000) for number in (next(first), next(second))]
    assert together == [next(whole) for _ in range(10_000)]
    open_items = build_schedule(plan(reuse=0.5)).main.item.tolist()
    assert open_items == together[: len(open_items)]


def test_a_closed_loop_asks_for_as_many_items_as_the_workloads_rate_makes():
    closed = plan(ClosedLoop(concurrency=4), duration_s=10, warmup_s=2, profile=ProfilePlan(duration_s=3))
    assert pool_size(closed, None) == (50 * 12, 50 * 17)
    counted = msgspec.structs.replace(closed, requests=1000)
    assert pool_size(counted, None) == (1000 + 50 * 2, 1100 + 50 * 5)
