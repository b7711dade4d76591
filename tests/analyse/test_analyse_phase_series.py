"""CPU by phase over time: what was measured where, and nothing anywhere else."""

import msgspec
import numpy as np
import pytest
from factory import START_NS, S, make_run
from planted_waits import STACKS

from mmload.analyse.phase_series import phase_series
from mmload.analyse.timeline import timeline
from mmload.model.manifest import Phase
from mmload.store.append import write_document
from mmload.store.read import Run
from mmload.store.stamped import StampedStacks, StampedThread, write_stamped

MEASURED_NS = START_NS + 2 * S
PROFILED_NS = (MEASURED_NS + 6 * S, MEASURED_NS + 9 * S)
STAMPED_NS = (MEASURED_NS + 9 * S, MEASURED_NS + 11 * S)


def profiled_run(out, **truth):
    """6 s measured, then 3 s of profile and 2 s for stacks with their times; each rank burns 30 % of a core."""
    run = make_run(out, **{"duration_s": 6, **truth})
    looked = [
        Phase(name=name, start_ns=start_ns, end_ns=end_ns)
        for name, (start_ns, end_ns) in (("profile", PROFILED_NS), ("stamped", STAMPED_NS))
    ]
    write_document(run.layout.manifest, msgspec.structs.replace(run.manifest, phases=[*run.manifest.phases, *looked]))
    return Run(run.layout.path)


def stamp(run, *did, process="scheduler_TP0"):
    """did: (how long, in which phase) one after the other, all over the window. Each stack is first seen a tick late."""
    names, late_ns = list(STACKS), S // 100
    begins_s = np.cumsum([0.0, *(length_s for length_s, _ in did)])[:-1]
    main = StampedThread(
        name="MainThread",
        t_ns=[STAMPED_NS[0] + late_ns + round(t_s * 1e9) for t_s in begins_s],
        stack=[names.index(phase) for _, phase in did],
    )
    stacks = StampedStacks(
        start_ns=STAMPED_NS[0] + late_ns,
        end_ns=STAMPED_NS[1] + late_ns,
        clock_error_ns=1_000_000,
        rate_hz=100,
        stacks=list(STACKS.values()),
        threads=[main],
    )
    write_stamped(run.layout, process, stacks)
    return Run(run.layout.path)


def found(run, bin_s=None):
    axis = timeline(run, bin_s)
    return axis, phase_series(run, axis)


def test_in_the_profile_window_the_phases_are_the_cpu_of_the_process_and_nothing_is_known_elsewhere(tmp_path):
    axis, series = found(profiled_run(tmp_path))
    for name in ("scheduler_TP0", "scheduler_TP1"):
        together = sum(series[name].bins.values())
        within = np.array([6 <= t < 9 for t in axis.t_s])
        assert together[within] == pytest.approx(30, abs=0.5)
        assert np.isnan(together[~within]).all()
        assert sum(series[name].profiled.values()) == pytest.approx(30, abs=0.5)
    assert "tokenizer" not in series  # it has no stacks


def test_with_times_each_bin_has_what_the_main_thread_did_in_it(tmp_path):
    run = stamp(profiled_run(tmp_path), (0.2, "hash"), (0.8, "idle-poll"), (0.1, "forward"), (0.9, "idle-poll"))
    axis, series = found(run)
    bins = series["scheduler_TP0"].bins
    ninth, tenth = axis.t_s.index(9.0), axis.t_s.index(10.0)
    assert (bins["hash"][ninth], bins["forward"][ninth]) == pytest.approx((20 * 30 / 100, 0), abs=0.1)
    assert bins["forward"][tenth] == pytest.approx(10 * 30 / 100, abs=0.1)
    assert series["scheduler_TP0"].stamped["hash"] == pytest.approx(3, abs=0.1)


def test_a_main_thread_is_never_said_to_burn_more_than_its_process_did(tmp_path):
    run = stamp(profiled_run(tmp_path), (2.0, "materialise"))
    axis, series = found(run)
    within = np.array([9 <= t < 11 for t in axis.t_s])
    materialise = series["scheduler_TP0"].bins["materialise"][within]
    assert materialise == pytest.approx(axis.series["cpu_pct.scheduler_TP0"][within])
    assert materialise == pytest.approx([30, 30], abs=1)


def test_a_wait_that_sleeps_is_no_cpu(tmp_path):
    run = profiled_run(tmp_path)
    run = stamp(run, (1.9, "idle-poll"), (0.1, "hash"))
    path = run.layout.stamped("scheduler_TP0")
    path.write_text(path.read_text().replace("poll_for_work", "wait_for_work"))
    _, series = found(Run(run.layout.path))
    assert set(series["scheduler_TP0"].stamped) == {"hash"}


def test_of_a_window_shorter_than_a_bin_the_bin_of_its_middle_has_the_mean(tmp_path):
    axis, series = found(profiled_run(tmp_path), 12.0)
    together = sum(series["scheduler_TP0"].bins.values())
    assert np.flatnonzero(~np.isnan(together)).tolist() == [axis.t_s.index(0.0)]
    assert np.nansum(together) == pytest.approx(30, abs=0.5)


def test_where_nobody_knows_what_a_process_burnt_nothing_is_divided(tmp_path):
    run = profiled_run(tmp_path, ends_after_s=8)
    assert found(stamp(run, (2.0, "hash")))[1] == {}


def test_a_bin_that_two_windows_share_is_of_one_of_them(tmp_path):
    run = stamp(profiled_run(tmp_path), (2.0, "hash"))
    axis, series = found(run, 6.0)
    together = np.nansum(list(series["scheduler_TP0"].bins.values()), axis=0)
    assert together[axis.t_s.index(6.0)] == pytest.approx(30, abs=0.5)


def test_without_stacks_or_with_such_as_say_nothing_of_cpu_nothing_is_divided(tmp_path):
    assert found(profiled_run(tmp_path / "none", stack_samples=0))[1] == {}
    run = profiled_run(tmp_path / "idle")
    profile = msgspec.structs.replace(run.manifest.profile, mode="idle")
    write_document(run.layout.manifest, msgspec.structs.replace(run.manifest, profile=profile))
    assert found(Run(run.layout.path))[1] == {}
