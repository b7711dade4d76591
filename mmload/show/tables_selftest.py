"""The selftest on the terminal: each row as it comes, then the rates and the word that counts."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from mmload.model.selftest import RowState, SelftestReport, SelftestRow, SimulatedRate, Tally
from mmload.show.palette import LABEL, WARNING
from mmload.show.terminal_figures import count
from mmload.show.terminal_sheet import Column, Drawn, Sheet, fact, grid, paragraph, separated, styled

_STYLES: dict[RowState, str] = {
    "right": "bold green",
    "wrong": "bold red",
    "not judged": "bold yellow",
    "not made": "bold magenta",
}
_STATE = max(map(len, _STYLES)) + 2
_NAME = 19


def render_row(row: SelftestRow) -> Drawn:
    """One row: whether it is right, what was planted, what came of it and why."""

    def view(sheet: Sheet) -> Iterator[Text]:
        indent = " " * _STATE
        head = styled((row.state.ljust(_STATE), _STYLES[row.state]), (row.name.ljust(_NAME), "bold"))
        words = row.came if row.came == row.expected else f"{row.came}, expected {row.expected}"
        tried = f"   tried {row.attempts} times" if row.attempts > 1 else ""
        yield from paragraph(styled(words, (f"   {row.took_s:.0f} s{tried}", LABEL)), sheet, head)
        yield from paragraph(styled(("planted: " if row.planted else "control: ", LABEL), row.truth), sheet, indent)
        yield from paragraph(styled((row.reason, LABEL)), sheet, indent)
        if row.amiss:
            yield from paragraph(styled((f"amiss: {row.amiss}", WARNING)), sheet, indent)

    return Drawn(view)


def render_report(report: SelftestReport) -> Drawn:
    """What all rows say together, and the rates at which the statistics err."""

    def view(sheet: Sheet) -> Iterator[Text]:
        yield from separated(_simulated(report, sheet), _rates(report, sheet), _overall(report, sheet))

    return Drawn(view)


def _simulated(report: SelftestReport, sheet: Sheet) -> Iterator[Text]:
    if not report.simulated:
        return
    columns = (
        Column("simulated", right=False),
        Column("at limit PASS"),
        Column("FAIL"),
        Column("inside PASS"),
        Column("outside FAIL"),
        Column("wrong", rank=1),
        Column("trials", rank=2),
    )
    yield from grid(columns, [_rate(rate) for rate in report.simulated], sheet)
    for rate in report.simulated:
        yield from paragraph(styled((f"{rate.metric}: {rate.about}", LABEL)), sheet, " " * 4)
    note = (
        "Servers exactly at the limit, where 5 % of PASS and of FAIL may come out, and 10 % inside and outside of it, "
        "where the rest is INCONCLUSIVE but for what is counted as wrong."
    )
    yield from paragraph(styled((note, LABEL)), sheet, " " * 4)


def _rate(rate: SimulatedRate) -> list[Text]:
    counts = (rate.at_limit_passed, rate.at_limit_failed, rate.better_passed, rate.worse_failed)
    shares = [f"{number / rate.trials:.1%}" for number in counts]
    wrong = rate.better_failed + rate.worse_passed
    return [styled(rate.metric), *map(styled, shares), styled(f"{wrong:,}"), styled(f"{rate.trials:,}")]


def _rates(report: SelftestReport, sheet: Sheet) -> Iterator[Text]:
    rates = [
        styled(("false alarms ", LABEL), _of(report.false_alarms, "control")),
        styled(("misses ", LABEL), _of(report.misses, "planted fault")),
    ]
    yield from fact("rates", rates, sheet)
    if report.kept:
        yield from fact("runs", [styled(report.kept)], sheet)


def _of(tally: Tally, what: str) -> str:
    return f"{tally.wrong} of {count(tally.judged, what)}"


def _overall(report: SelftestReport, sheet: Sheet) -> list[Text]:
    states = [row.state for row in report.rows]
    words = [styled((f"{states.count(state)} {state}", style)) for state, style in _STYLES.items() if state in states]
    ended = [] if report.complete else [styled(("ended before all rows had their turn", WARNING))]
    return fact("rows", [*words, *ended] or [styled("none")], sheet)
