"""CPU of each process on the terminal: how much, in which phases, in which functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.text import Text

from mmload.model.result import ProcessCpu
from mmload.show.palette import LABEL, PHASE_COLOURS, PHASE_LETTERS
from mmload.show.terminal_charts import stack
from mmload.show.terminal_figures import MISSING, figure, interval, size
from mmload.show.terminal_processes import short_name
from mmload.show.terminal_sheet import EXTRA, GAP, Column, Sheet, grid, styled

_FUNCTION_WIDTH = 40  # what a function's name is left at least beside the processes
_PHASES_TITLE = "on-CPU samples, %"
_FUNCTIONS_TITLE = "hottest functions, self %"


def cpu_table(cpu: Mapping[str, ProcessCpu], sheet: Sheet) -> Iterable[Text]:
    """Total and work of each process in percent of one core, with intervals; nothing without processes."""
    if not cpu:
        return []
    columns = (
        Column("CPU, % of a core", right=False),
        Column("total"),
        Column("95 % interval", rank=2, right=False),
        Column("work"),
        Column("95 % interval", rank=3, right=False),
        Column("RSS max", rank=1),
        Column("samples", rank=EXTRA),
        Column("stacks", rank=4),
    )
    return grid(columns, [_cpu_row(name, process) for name, process in cpu.items()], sheet)


def _cpu_row(name: str, process: ProcessCpu) -> list[Text]:
    total = interval(process.total_pct, process.total_low, process.total_high, most=1)
    work = interval(process.work_pct, process.work_low, process.work_high, most=1)
    cells = (*total, *work, size(process.rss_max_bytes), f"{process.samples:,}", f"{process.stack_samples:,}")
    return [styled("  ", name), *map(styled, cells)]


def phase_bars(cpu: Mapping[str, ProcessCpu], sheet: Sheet) -> Iterator[Text]:
    """A bar for each process, as long as its CPU, divided into the phases of its stack samples. Nothing where no
    process has phases."""
    if not any(process.phases for process in cpu.values()):
        return
    names = max(map(len, cpu)) + 2 + GAP
    room = max(1, sheet.width - names)
    top = max(process.total_pct for process in cpu.values())
    yield styled(("CPU by phase", "bold"), (f"  full width: {figure(top, most=1)} % of a core", LABEL))
    for name, process in cpu.items():
        length = round(process.total_pct / top * room) if top > 0 else 0
        yield styled("  ", name.ljust(names - 2)) + _stacked(process.phases, length, sheet)


def _stacked(phases: Mapping[str, float], length: int, sheet: Sheet) -> Text:
    if not phases:
        return styled((sheet.glyphs.track * length, LABEL))
    cells = stack({name: phases[name] for name in _known_first(phases)}, length)
    return Text.assemble(*((_key(name, sheet) * n, PHASE_COLOURS.get(name, "")) for name, n in cells.items() if n))


def phase_table(cpu: Mapping[str, ProcessCpu], sheet: Sheet) -> Iterator[Text]:
    """Shares of on-CPU stack samples by phase, and what the bars' colours or letters mean."""
    profiled = {name: process for name, process in cpu.items() if process.phases}
    phases = _known_first({phase for process in profiled.values() for phase in process.phases})

    def key(phase: str) -> Text:
        return styled("  ", (_key(phase, sheet), PHASE_COLOURS.get(phase, "")), " ", phase)

    shares = {name: process.phases for name, process in profiled.items()}
    rows = [(phase, key(phase)) for phase in phases]
    width = max([len(_PHASES_TITLE), *(label.cell_len for _, label in rows)])
    yield from _share_table(_PHASES_TITLE, shares, rows, width, sheet)


def hottest_functions(cpu: Mapping[str, ProcessCpu], sheet: Sheet) -> Iterator[Text]:
    """Each process's hottest functions, the same function of several processes in one row, by self time."""
    shares = {name: dict(process.hottest) for name, process in cpu.items() if process.hottest}
    peak: dict[str, float] = {}
    for functions in shares.values():
        for function, part in functions.items():
            peak[function] = max(part, peak.get(function, 0.0))
    rows = [(name, styled("  ", name)) for name in sorted(peak, key=lambda n: (-peak[n], n))]
    yield from _share_table(_FUNCTIONS_TITLE, shares, rows, _FUNCTION_WIDTH, sheet)


def _share_table(
    title: str,
    shares: Mapping[str, Mapping[str, float]],
    rows: Sequence[tuple[str, Text]],
    name_width: int,
    sheet: Sheet,
) -> Iterator[Text]:
    """Rows by processes in percent, `shares[process][row]`; more processes than fit beside `name_width` go below."""
    for names in _chunks(list(shares), sheet.width - name_width):
        columns = [Column(title, right=False, elastic=True), *(Column(short_name(name)) for name in names)]
        known = [(label, [shares[name].get(key) for name in names]) for key, label in rows]
        cells = [
            [label, *(styled(MISSING if part is None else f"{100 * part:.1f}") for part in parts)]
            for label, parts in known
            if any(part is not None for part in parts)
        ]
        yield from grid(columns, cells, sheet)


def _chunks(names: Sequence[str], width: int) -> Iterator[list[str]]:
    """The names in groups whose columns fit `width`, at least one a group."""
    group: list[str] = []
    used = 0
    for name in names:
        need = max(len(short_name(name)), len("100.0")) + GAP
        if group and used + need > width:
            yield group
            group, used = [], 0
        group.append(name)
        used += need
    if group:
        yield group


def _known_first(phases: Iterable[str]) -> list[str]:
    """The known phases in the order of a request's way, then any other."""
    return [*(p for p in PHASE_COLOURS if p in phases), *sorted(set(phases) - PHASE_COLOURS.keys())]


def _key(phase: str, sheet: Sheet) -> str:
    return sheet.glyphs.block if sheet.colour else PHASE_LETTERS.get(phase, "?")
