"""From what a look saw to a row, and from rows to the exit code."""

import msgspec
import pytest

from mmload.errors import RunInvalid, ServerError, UsageError
from mmload.model.selftest import SelftestRow, SimulatedRate
from mmload.selftest.checks import CHECKS, Check, chosen
from mmload.selftest.rows import errs_too_often, exit_code, report_of, row_of
from mmload.selftest.seen import Seen
from mmload.selftest.workbench import NotJudged

RIGHT = Seen(came="FAIL", reason="figure 2 (1 to 3)")
WRONG = RIGHT.but("it names another rank")


class Bench:
    """Looked at, and nothing else."""

    quick = False

    def __init__(self):
        self.used, self.again = [], []

    def begin_row(self, *, again=False):
        self.again.append(again)


def row_from(*seen, **changes):
    """What a check that sees these, one attempt after the other, comes to."""
    seen, bench = list(seen), Bench()

    def look(looked_at):
        looked_at.used.append("a-run")
        what = seen.pop(0)
        if isinstance(what, Exception):
            raise what
        return what

    check = Check(name="errors", planted=True, truth="every 500th fails", expected="FAIL", look=look)
    row = row_of(msgspec.structs.replace(check, **changes), bench, iter([10.0, 14.5]).__next__)
    return row, bench


def report(*states, planted=True, rates=(), complete=True):
    row, _ = row_from(RIGHT)
    rows = [msgspec.structs.replace(row, state=state, planted=planted) for state in states]
    return report_of(rows, rates, quick=True, complete=complete, kept=None)


def test_a_right_row_says_what_was_planted_what_came_and_why():
    row, bench = row_from(RIGHT)
    assert row == SelftestRow(
        name="errors",
        planted=True,
        truth="every 500th fails",
        expected="FAIL",
        came="FAIL",
        reason="figure 2 (1 to 3)",
        state="right",
        took_s=4.5,
        runs=["a-run"],
    )
    assert bench.again == [False]


def test_a_wrong_row_is_not_tried_again():
    row, bench = row_from(WRONG, RIGHT)
    assert (row.state, row.amiss, row.attempts) == ("wrong", "it names another rank", 1)
    assert bench.again == [False]


@pytest.mark.parametrize("why", [NotJudged("sent late"), RunInvalid("a worker was lost")])
def test_a_row_that_the_host_left_nothing_to_judge_by_is_tried_once_more(why):
    row, bench = row_from(why, RIGHT)
    assert (row.state, row.attempts) == ("right", 2)
    assert bench.again == [False, True]
    row, _ = row_from(why, why)
    assert (row.state, row.attempts, row.came, row.reason) == ("not judged", 2, "INVALID", str(why))


def test_a_row_whose_server_could_not_be_run_says_why():
    row, _ = row_from(ServerError("no\nport"))
    assert (row.state, row.came, row.reason) == ("not made", "exit 5", "no port")


def test_the_short_form_may_expect_another_word():
    bench = Bench()
    bench.quick = True
    check = Check(name="a", planted=True, truth="", expected="FAIL", quick="INCONCLUSIVE", look=lambda _: RIGHT)
    assert row_of(check, bench).expected == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (("right", "right"), 0),
        (("right", "not judged"), 3),
        (("not judged", "not made"), 5),
        (("not made", "not judged", "wrong", "right"), 1),
        ((), 0),
    ],
)
def test_the_exit_code_is_that_of_the_worst_row(states, code):
    assert exit_code(report(*states)) == code


def test_what_could_not_be_judged_is_neither_a_miss_nor_a_false_alarm():
    planted = report("right", "wrong", "not judged", "not made")
    assert (planted.misses.wrong, planted.misses.judged, planted.false_alarms.judged) == (1, 2, 0)
    controls = report("wrong", "not judged", planted=False)
    assert (controls.false_alarms.wrong, controls.false_alarms.judged, controls.misses.judged) == (1, 1, 0)


RATE = SimulatedRate(
    metric="qps",
    about="40 s",
    trials=1000,
    at_limit_passed=50,
    at_limit_failed=50,
    better_passed=900,
    better_failed=0,
    worse_passed=0,
    worse_failed=900,
)


@pytest.mark.parametrize("field", ["at_limit_passed", "at_limit_failed", "better_failed", "worse_passed"])
def test_statistics_that_err_too_often_are_a_wrong_selftest(field):
    nominal = msgspec.structs.replace(RATE, **{field: 70})  # 5 %, and not three errors of the simulation beyond
    often = msgspec.structs.replace(RATE, **{field: 71})
    assert not errs_too_often(nominal)
    assert errs_too_often(often)
    assert exit_code(report("right", rates=[nominal])) == 0
    assert exit_code(report("right", rates=[often])) == 1


def test_misses_of_the_statistics_are_no_errors():
    assert not errs_too_often(msgspec.structs.replace(RATE, better_passed=0, worse_failed=0))


def test_every_row_is_known_by_its_name_and_only_these():
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert [check.name for check in chosen([], quick=False)] == names
    assert [check.name for check in chosen(["leak", "errors"], quick=True)] == ["errors", "leak"]
    with pytest.raises(UsageError, match="no row of the selftest") as error:
        chosen(["lost-rnk"], quick=False)
    assert "lost-rank" in error.value.hint


def test_a_row_of_the_long_form_alone_can_be_asked_for_in_the_short_one():
    long = [check.name for check in CHECKS if check.long]
    assert not {check.name for check in chosen([], quick=True)} & set(long)
    assert [check.name for check in chosen(long, quick=True)] == long
