"""What differs between two sides beyond chance, function by function: alone, and with what it called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.text import Text

from mmload.model.flame import SAYS_NOTHING, ChangeWord, FlameChange, FlameDocument, FlameView
from mmload.show.palette import LABEL
from mmload.show.terminal_figures import count, figure
from mmload.show.terminal_sheet import Column, Sheet, grid, paragraph, separated, styled

CHANGE_STYLES: dict[ChangeWord, str] = {
    "within noise": LABEL,
    "not judged": LABEL,
    "more": "red",
    "appeared": "red",
    "less": "blue",
    "vanished": "blue",
}
_MOST = 12  # rows
_BY_ITSELF = 0.05  # of a change with what it calls: no more than that is by what it calls
_ALIKE = 0.01  # of a change: callers and callees that differ by as much differ by the same


class _Changed(NamedTuple):
    """A row. alike: how many other functions it stands for."""

    frame: int
    base_ms: float
    this_ms: float
    low_ms: float
    high_ms: float
    word: ChangeWord
    alike: int = 0

    @property
    def ms(self) -> float:
        return self.this_ms - self.base_ms


def changed_functions(document: FlameDocument, view: FlameView, sheet: Sheet) -> Iterator[Text]:
    """Those whose own cost differs, then those which differ by what they called."""
    own = [_own(change) for change in view.changes if change.own_word not in SAYS_NOTHING]
    total = [_total(change) for change in view.changes if change.word not in SAYS_NOTHING and not _by_itself(change)]
    if not own and not total:
        if document.unit == "wall_ms_per_request":
            return  # the sentences about slow requests have said so
        unjudged = any(change.own_word == "not judged" for change in view.changes)
        why = "not judged: see above" if unjudged else "none beyond chance"
        said = f"changes in {view.label}: {why}, of {count(len(view.changes), 'function')}"
        yield from paragraph(styled(said), sheet)
        return
    yield from separated(
        _table(document, f"changed by itself in {view.label}", own, sheet),
        _table(document, f"changed by what it calls in {view.label}", _once(total), sheet),
    )
    within = sum(change.own_word in SAYS_NOTHING and change.word in SAYS_NOTHING for change in view.changes)
    yield styled((f"  {count(within, 'function')} within noise left out", LABEL))


def side_names(document: FlameDocument) -> tuple[str, str]:
    """The base's and this side's, as heads of columns."""
    return ("usual", "slowest") if document.unit == "wall_ms_per_request" else ("base", "this")


def signed_ms(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{figure(abs(value), most=3)}" if value else "0"


def _table(document: FlameDocument, title: str, changed: Sequence[_Changed], sheet: Sheet) -> Iterator[Text]:
    if not changed:
        return
    columns = [Column(title, right=False, elastic=True), *map(Column, side_names(document)), Column("change")]
    interval = f"{100 * document.confidence:g} % interval" if document.confidence else "bounds"
    columns += [Column(interval, rank=2), Column("", right=False)]
    columns += [Column("alike", rank=1)] if any(one.alike for one in changed) else []
    yield from grid(columns, [_row(document, one) for one in changed[:_MOST]], sheet)
    if len(changed) > _MOST:
        yield styled((f"  {count(len(changed) - _MOST, 'smaller change')} left out", LABEL))


def _row(document: FlameDocument, one: _Changed) -> list[Text]:
    style = CHANGE_STYLES[one.word]
    return [
        styled("  ", document.frames[one.frame].function),
        *(styled(figure(value, most=3) if value else "0") for value in (one.base_ms, one.this_ms)),
        styled((signed_ms(one.ms), style)),
        styled(f"{signed_ms(one.low_ms)} to {signed_ms(one.high_ms)}"),
        styled((one.word, style)),
        styled((f"+{one.alike}" if one.alike else "", LABEL)),
    ]


def _own(change: FlameChange) -> _Changed:
    bounds = change.own_low_ms, change.own_high_ms
    return _Changed(change.frame, change.base_own_ms, change.own_ms, *bounds, change.own_word)


def _total(change: FlameChange) -> _Changed:
    bounds = change.low_ms, change.high_ms
    return _Changed(change.frame, change.base_total_ms, change.total_ms, *bounds, change.word)


def _by_itself(change: FlameChange) -> bool:
    """Whether what it called says nothing more."""
    by_itself, altogether = change.own_ms - change.base_own_ms, change.total_ms - change.base_total_ms
    return abs(altogether - by_itself) <= _BY_ITSELF * abs(altogether)


def _once(changed: Sequence[_Changed]) -> list[_Changed]:
    """The largest first; of callers and callees that differ by the same, the one that costs most stands for all."""
    found: list[_Changed] = []
    for one in sorted(changed, key=lambda one: (-abs(one.ms), -max(one.this_ms, one.base_ms))):
        place = next((place for place, other in enumerate(found) if _is_alike(one, other)), None)
        if place is None:
            found.append(one)
        else:
            found[place] = found[place]._replace(alike=found[place].alike + 1)
    return found


def _is_alike(one: _Changed, other: _Changed) -> bool:
    return one.word == other.word and abs(one.ms - other.ms) <= _ALIKE * abs(other.ms)
