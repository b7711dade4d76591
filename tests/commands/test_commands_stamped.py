"""Which runs take stacks with their times, and for how long."""

import pytest

from mmload.commands.plan_options import LoadOptions, ProfileOptions, ServerOptions, plan_of_options
from mmload.errors import UsageError
from mmload.plan.arrivals import PROFILE_LEAD_S, build_schedule, profile_window
from mmload.plan.check import check_plan


def plan_of(stamped=True, **options):
    return plan_of_options(LoadOptions(), ServerOptions(), ProfileOptions(**options), stamped=stamped, variant=None)


@pytest.mark.parametrize(
    ("stamped", "options", "stamped_s"),
    [
        (True, {}, 5.0),
        (True, {"profile_duration": "30s"}, 15.0),
        (True, {"stamped_duration": "2s"}, 2.0),
        (True, {"stamped_duration": "0"}, 0.0),
        (False, {}, 0.0),
        (False, {"stamped_duration": "3s"}, 3.0),
    ],
)
def test_stacks_are_stamped_for_half_as_long_as_profiled_or_as_asked(stamped, options, stamped_s):
    assert plan_of(stamped, **options).profile.stamped_s == stamped_s


def test_the_load_goes_on_until_both_are_over():
    plan = plan_of(profile_duration="6s", stamped_duration="3s")
    assert profile_window(plan).end_ns == round((PROFILE_LEAD_S + 9) * 1e9)
    assert profile_window(plan_of(profile=False)) is None


def test_a_run_with_stamped_stacks_is_measured_by_the_same_schedule_as_one_without():
    ours, others = (build_schedule(plan_of(stamped)).main for stamped in (True, False))
    assert ours.sha256() == others.sha256()


def test_a_negative_length_is_refused():
    with pytest.raises(UsageError, match="stamped-duration"):
        plan_of(stamped_duration="-1s")


def test_a_plan_of_before_has_none():
    plan = plan_of(stamped=False)
    check_plan(plan)
    assert plan.profile.window_s == plan.profile.duration_s
