"""Who does what when: lanes for the processes, time from left to right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mmload.plan.variants import LANES, Lane, Step

_LABELS: dict[Lane, str] = {
    "tokenizer": "tokenizer",
    "rank 0": "rank 0",
    "rank 0 thread": "  thread",
    "rank 1..N": "rank 1..N",
    "rank 1..N thread": "  thread",
}
_LABEL_WIDTH = max(map(len, _LABELS.values())) + 2
_WAIT = "·"
_ASCII = str.maketrans("─╮╰├│▶·", "-.'+|>.")


def picture_lines(steps: Sequence[Step], *, ascii_only: bool = False) -> Iterator[str]:
    """A line for each lane that has a part in it: boxes for what is done, arrows for what travels, dots for waiting."""
    present = {lane for step in steps for lane in (*step.by, *step.to, *step.waits)}
    lanes = [lane for lane in LANES if lane in present]
    columns = [_column(step, lanes) for step in steps]
    for row, lane in enumerate(lanes):
        line = (_LABELS[lane].ljust(_LABEL_WIDTH) + "".join(column[row] for column in columns)).rstrip()
        yield line.translate(_ASCII) if ascii_only else line


def _column(step: Step, lanes: Sequence[Lane]) -> list[str]:
    """What each lane shows of a step, all of the same width."""
    cells = [_done(step, lane) if step.does else _sent(step, lane, lanes) for lane in lanes]
    width = max(map(len, cells))
    return [cell.ljust(width, _blank(step, lane)) for cell, lane in zip(cells, lanes, strict=True)]


def _done(step: Step, lane: Lane) -> str:
    return f"[{step.does}]" if lane in step.by else ""


def _sent(step: Step, lane: Lane, lanes: Sequence[Lane]) -> str:
    """The arrow leaves its lane to the right, bends down, and ends in the lanes of those that it is for."""
    row, rows = lanes.index(lane), [lanes.index(each) for each in (*step.by, *step.to)]
    lead = _blank(step, lane) * (len(step.sends) + 2)
    if lane in step.by:
        return f"─{step.sends}─╮"
    if lane in step.to:
        return lead + ("╰▶" if row == max(rows) else "├▶")
    return f"{lead}│" if min(rows) < row < max(rows) else ""


def _blank(step: Step, lane: Lane) -> str:
    return _WAIT if lane in step.waits else " "
