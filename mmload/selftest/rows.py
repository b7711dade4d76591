"""From checks to rows, and from rows to the word that counts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence

from mmload import __version__
from mmload.errors import EXIT_GATE_FAILED, EXIT_GATE_INCONCLUSIVE, EXIT_OK, RunInvalid, ServerError
from mmload.model.selftest import RowState, SelftestReport, SelftestRow, SimulatedRate, Tally
from mmload.selftest.checks import Check
from mmload.selftest.seen import Seen
from mmload.selftest.workbench import NotJudged, Workbench

_ATTEMPTS = 2
_NOMINAL = 0.05  # of the gate's bounds, each one-sided at 95 %
_SIGMAS = 3.0  # of the simulation's own error


def row_of(check: Check, bench: Workbench, clock_s: Callable[[], float] = time.monotonic) -> SelftestRow:
    """Make and judge one row. One that could not be judged is tried once more; one that came out wrong is not: to look
    again until it is right would tell nothing. Raises FolderError or Interrupted."""
    start_s, attempts = clock_s(), 0
    state: RowState = "not judged"
    while state == "not judged" and attempts < _ATTEMPTS:
        bench.begin_row(again=attempts > 0)
        attempts += 1
        state, seen = _looked(check, bench)
    return SelftestRow(
        name=check.name,
        planted=check.planted,
        truth=check.truth,
        expected=check.expects(quick=bench.quick),
        came=seen.came,
        reason=seen.reason,
        amiss=seen.amiss,
        state=state,
        attempts=attempts,
        took_s=round(clock_s() - start_s, 1),
        runs=list(dict.fromkeys(bench.used)),
    )


def _looked(check: Check, bench: Workbench) -> tuple[RowState, Seen]:
    try:
        seen = check.look(bench)
    except (NotJudged, RunInvalid) as why:
        return "not judged", Seen(came="INVALID", reason=str(why), amiss="the host left nothing to judge by")
    except ServerError as error:
        reason = " ".join(str(error).split())
        return "not made", Seen(came=f"exit {error.exit_code}", reason=reason, amiss="no server could be run")
    return "wrong" if seen.amiss else "right", seen


def report_of(
    rows: Sequence[SelftestRow], simulated: Sequence[SimulatedRate], *, quick: bool, complete: bool, kept: str | None
) -> SelftestReport:
    return SelftestReport(
        mmload=__version__,
        quick=quick,
        complete=complete,
        rows=list(rows),
        false_alarms=_tally(row for row in rows if not row.planted),
        misses=_tally(row for row in rows if row.planted),
        simulated=list(simulated),
        kept=kept,
    )


def exit_code(report: SelftestReport) -> int:
    """1 for a wrong row or statistics that err too often, 5 where no server could be run, 3 where a row could not be
    judged, 0 when all is right."""
    states = {row.state for row in report.rows}
    if "wrong" in states or any(errs_too_often(rate) for rate in report.simulated):
        return EXIT_GATE_FAILED
    if "not made" in states:
        return ServerError.exit_code
    return EXIT_GATE_INCONCLUSIVE if "not judged" in states else EXIT_OK


def errs_too_often(rate: SimulatedRate) -> bool:
    """More wrong verdicts than one in twenty, beyond what so few trials may show by chance."""
    most = rate.trials * _NOMINAL + _SIGMAS * math.sqrt(rate.trials * _NOMINAL * (1 - _NOMINAL))
    return max(rate.at_limit_passed, rate.at_limit_failed, rate.better_failed, rate.worse_passed) > most


def _tally(rows: Iterable[SelftestRow]) -> Tally:
    states = [row.state for row in rows]
    return Tally(wrong=states.count("wrong"), judged=states.count("wrong") + states.count("right"))
