"""CPU of each process on the terminal: how much, in which phases, in which functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from rich.text import Text

from mmload.model.result import ProcessCpu
from mmload.show.palette import LABEL, PHASE_COLOURS, PHASE_LETTERS
from mmload.show.terminal_charts import stack
from mmload.show.terminal_figures import MISSING, figures, interval
from mmload.show.terminal_processes import short_name
from mmload.show.terminal_sheet import EXTRA, GAP, Column, Sheet, flow, grid, styled

_FUNCTION_WIDTH = 40  # what a function's name is left at least beside the processes
_PHASES_TITLE = "share of its CPU, %"
_COSTS_TITLE = "CPU per answer, ms"
_FUNCTIONS_TITLE = "hottest functions, self %"
_OTHER_TITLE = "in no phase: functions, self %"
_LEAST_OTHER = 0.01


def cpu_table(cpu: Mapping[str, ProcessCpu], sheet: Sheet) -> Iterable[Text]:
    """Total and work of each process in percent of one core, with intervals; nothing without processes."""
    if not cpu:
        return []
    columns = (
        Column("CPU, % of a core", right=False),
        Column("total"),
        Column("95 % interval", rank=2, right=False),
        Column("work"),
        Column("95 % interval", rank=1, right=False),
        Column("user", rank=3),
        Column("sys", rank=3),
        Column("no Python", rank=4),
        Column("samples", rank=EXTRA),
        Column("stacks", rank=4),
    )
    return grid(columns, [_cpu_row(name, process) for name, process in cpu.items()], sheet)


def _cpu_row(name: str, process: ProcessCpu) -> list[Text]:
    total = interval(process.total_pct, process.total_low, process.total_high, most=1)
    work = interval(process.work_pct, process.work_low, process.work_high, most=1)
    parts = figures([process.user_pct, process.system_pct, process.native_pct], most=1)
    cells = (*total, *work, *parts, f"{process.samples:,}", f"{process.stack_samples:,}")
    return [styled("  ", name), *map(styled, cells)]


def phase_bars(cpu: Mapping[str, ProcessCpu], sheet: Sheet) -> Iterator[Text]:
    """A bar for each process, as long as its CPU, divided into the phases of its stack samples. Nothing where no
    process has phases."""
    if not any(process.phases for process in cpu.values()):
        return
    names = max(map(len, cpu)) + 2 + GAP
    totals = figures((process.total_pct for process in cpu.values()), most=1)
    wide = max(map(len, totals))
    room = max(1, sheet.width - names - wide - GAP)
    top = max(process.total_pct for process in cpu.values())
    yield styled(("CPU by phase", "bold"), ("  % of a core", LABEL))
    for (name, process), total in zip(cpu.items(), totals, strict=True):
        length = round(process.total_pct / top * room) if top > 0 else 0
        label = styled("  ", name.ljust(names - 2), total.rjust(wide), " " * GAP)
        yield label + _stacked(process.phases, length, sheet)


def phase_legend(cpu: Mapping[str, ProcessCpu], sheet: Sheet) -> Iterator[Text]:
    """What the colours or letters of the bars mean, those that occur; nothing where no process has phases."""
    occurring = _known_first({phase for process in cpu.values() for phase, share in process.phases.items() if share})
    keys = [styled((_key(phase, sheet), PHASE_COLOURS.get(phase, "")), " ", phase) for phase in occurring]
    if keys:
        for line in flow(keys, sheet.with_width(sheet.width - GAP)):
            yield styled("  ") + line


def _stacked(phases: Mapping[str, float], length: int, sheet: Sheet) -> Text:
    if not phases:
        return styled((sheet.glyphs.track * length, LABEL))
    cells = stack({name: phases[name] for name in _known_first(phases)}, length)
    return Text.assemble(*((_key(name, sheet) * n, PHASE_COLOURS.get(name, "")) for name, n in cells.items() if n))


def phase_table(cpu: Mapping[str, ProcessCpu], sheet: Sheet) -> Iterator[Text]:
    """Shares of each process's CPU by phase, and what the bars' colours or letters mean."""
    profiled = {name: process for name, process in cpu.items() if process.phases}
    phases = _known_first({phase for process in profiled.values() for phase in process.phases})

    def key(phase: str) -> Text:
        return styled("  ", (_key(phase, sheet), PHASE_COLOURS.get(phase, "")), " ", phase)

    shares = {name: process.phases for name, process in profiled.items()}
    rows = [(phase, key(phase)) for phase in phases]
    width = max([len(_PHASES_TITLE), *(label.cell_len for _, label in rows)])
    yield from _process_table(_PHASES_TITLE, shares, rows, width, sheet)


def phase_costs(cpu: Mapping[str, ProcessCpu], sheet: Sheet) -> Iterator[Text]:
    """CPU milliseconds of each phase per correct answer."""
    costs = {
        name: {phase: one.ms_per_request.value for phase, one in process.by_phase.items() if one.ms_per_request}
        for name, process in cpu.items()
    }
    costs = {name: by_phase for name, by_phase in costs.items() if by_phase}
    phases = _known_first({phase for by_phase in costs.values() for phase in by_phase})
    rows = [(phase, styled("  ", phase)) for phase in phases]
    yield from _process_table(_COSTS_TITLE, costs, rows, len(_COSTS_TITLE), sheet, lambda ms: f"{ms:.3f}")


def hottest_functions(cpu: Mapping[str, ProcessCpu], sheet: Sheet) -> Iterator[Text]:
    """Each process's hottest functions, the same function of several processes in one row, by self time."""
    yield from _functions(_FUNCTIONS_TITLE, {name: process.hottest for name, process in cpu.items()}, sheet)


def other_functions(cpu: Mapping[str, ProcessCpu], sheet: Sheet) -> Iterator[Text]:
    """What the samples in no phase are of: functions with a hundredth of a process's CPU and more."""
    known = {
        name: [(function, share) for function, share in process.other if share >= _LEAST_OTHER]
        for name, process in cpu.items()
    }
    yield from _functions(_OTHER_TITLE, known, sheet)


def _functions(title: str, functions: Mapping[str, Sequence[tuple[str, float]]], sheet: Sheet) -> Iterator[Text]:
    shares = {name: dict(found) for name, found in functions.items() if found}
    peak: dict[str, float] = {}
    for found in shares.values():
        for function, part in found.items():
            peak[function] = max(part, peak.get(function, 0.0))
    rows = [(name, styled("  ", name)) for name in sorted(peak, key=lambda n: (-peak[n], n))]
    yield from _process_table(title, shares, rows, _FUNCTION_WIDTH, sheet)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _process_table(
    title: str,
    values: Mapping[str, Mapping[str, float]],
    rows: Sequence[tuple[str, Text]],
    name_width: int,
    sheet: Sheet,
    shown: Callable[[float], str] = _percent,
) -> Iterator[Text]:
    """Rows by processes, `values[process][row]`; more processes than fit beside `name_width` go below."""
    for names in _chunks(list(values), sheet.width - name_width):
        columns = [Column(title, right=False, elastic=True), *(Column(short_name(name)) for name in names)]
        known = [(label, [values[name].get(key) for name in names]) for key, label in rows]
        cells = [
            [label, *(styled(MISSING if part is None else shown(part)) for part in parts)]
            for label, parts in known
            if any(part is not None for part in parts)
        ]
        yield from grid(columns, cells, sheet)


def _chunks(names: Sequence[str], width: int) -> Iterator[list[str]]:
    """The names in groups whose columns fit `width`, at least one a group."""
    group: list[str] = []
    used = 0
    for name in names:
        need = max(len(short_name(name)), len("100.00")) + GAP
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
    return sheet.glyphs.block if sheet.tells_colours else PHASE_LETTERS.get(phase, "?")
