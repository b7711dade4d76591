"""CPU in a report: how much of a core each process took, in which phases, in which functions, and what looking cost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mmload.model.result import Estimate, Looking, PhaseCpu, ProcessCpu, Summary
from mmload.show.palette import PHASE_COLOURS
from mmload.show.report_shapes import Bars, Cell, Fact, Table, bar, facts, table
from mmload.show.terminal_figures import MISSING, figure, figures, interval
from mmload.show.terminal_processes import in_order, short_name

_NO_COLOUR = "#888888"
_OF_PROCESS = re.compile(r'(?P<name>\w+)\{process="(?P<process>[^"]*)"\}')
_EACH = "_per_request"
_FUNCTIONS = 12


def cpu_table(summary: Summary) -> Table | None:
    """Total and work of each process in percent of one core."""
    cpu = in_order(summary.cpu)
    if not cpu:
        return None
    bounds = "95 % interval"
    head = ("CPU, % of a core", "total", bounds, "work", bounds, "user", "system", "samples", "stacks")
    note = "work: without the idle poll and the wait for the device, by the stacks of the profile window"
    return table("CPU", head, (_row(name, one) for name, one in cpu.items()), note=note)


def _row(name: str, one: ProcessCpu) -> list[str | Cell]:
    total, total_bounds = interval(one.total_pct, one.total_low, one.total_high, most=1)
    work, work_bounds = interval(one.work_pct, one.work_low, one.work_high, most=1)
    user, system = figures([one.user_pct, one.system_pct], most=1)
    stacks = Cell("poor", "warn") if one.profile_trouble else Cell(f"{one.stack_samples:,}")
    strong = (Cell(total, "strong"), Cell(total_bounds, "muted"), Cell(work, "strong"), Cell(work_bounds, "muted"))
    return [short_name(name), *strong, user, system, f"{one.samples:,}", stacks]


def phase_bars(summary: Summary) -> Bars | None:
    """A bar for each profiled process, as long as its CPU in the measure window, divided by its stacks' phases."""
    cpu = {name: one for name, one in in_order(summary.cpu).items() if one.phases}
    if not cpu:
        return None
    full = max(one.total_pct for one in cpu.values())
    bars = [bar(short_name(name), f"{figure(one.total_pct, most=1)} %", _parts(one), full) for name, one in cpu.items()]
    key = [(phase, _colour(phase)) for phase in _ordered(phase for one in cpu.values() for phase in one.phases)]
    note = f"full width: {figure(full, most=1)} % of a core; divided by the stack samples of the profile window"
    return Bars("CPU by phase", bars, key, note)


def _parts(one: ProcessCpu) -> Iterator[tuple[float, str, str]]:
    for phase in _ordered(one.phases):
        share, detail = one.phases[phase], one.by_phase.get(phase)
        pct = share * one.total_pct
        yield pct, _colour(phase), f"{phase}: {figure(pct, most=1)} % of a core{_said(detail)}"


def _said(detail: PhaseCpu | None) -> str:
    if detail is None:
        return ""
    low, high = 100 * detail.low, 100 * detail.high
    share = f", {figure(100 * detail.share, most=1)} % of its CPU ({figure(low, most=1)} to {figure(high, most=1)})"
    cost = detail.ms_per_request
    each = f", {_ms(cost)} ms a request" if cost else ""
    return f"{share}{each}, n {detail.samples:,}"


def phase_table(summary: Summary) -> Table | None:
    """CPU milliseconds of each phase per correct answer, with intervals, by process."""
    cpu = {name: one for name, one in in_order(summary.cpu).items() if one.by_phase}
    if not cpu:
        return None
    rows = []
    for phase in _ordered(phase for one in cpu.values() for phase in one.by_phase):
        cells = [_phase_cell(one.by_phase.get(phase)) for one in cpu.values()]
        rows.append([phase, *cells])
    note = "ms of CPU per correct answer with 95 % intervals; % of the process's CPU for what no request causes"
    return table("by phase", ["phase", *map(short_name, cpu)], rows, note=note)


def _phase_cell(detail: PhaseCpu | None) -> str:
    if detail is None:
        return MISSING
    return f"{_ms(detail.ms_per_request)}" if detail.ms_per_request else f"{figure(100 * detail.share, most=1)} %"


def _ms(cost: Estimate) -> str:
    if cost.low is None or cost.high is None:
        return f"{cost.value:.3f}"
    return f"{cost.value:.3f} ({cost.low:.3f} to {cost.high:.3f})"


def functions(summary: Summary) -> Table | None:
    """The hottest functions by their own share, the same function of several processes in one row."""
    cpu = {name: dict(one.hottest) for name, one in in_order(summary.cpu).items() if one.hottest}
    if not cpu:
        return None
    peak: dict[str, float] = {}
    for shares in cpu.values():
        for function, share in shares.items():
            peak[function] = max(share, peak.get(function, 0.0))
    hottest = sorted(peak, key=lambda function: (-peak[function], function))[:_FUNCTIONS]
    rows = [[function, *(_share(shares.get(function)) for shares in cpu.values())] for function in hottest]
    return table("functions", ["hottest functions, own %", *map(short_name, cpu)], rows)


def _share(share: float | None) -> str:
    return MISSING if share is None else f"{100 * share:.1f}"


def handoff_table(summary: Summary) -> Table | None:
    """What the handoff of a request costs by process; by the server's own counters, or else by the stack samples."""
    by_process: dict[str, dict[str, float]] = {}
    for key, value in summary.handoff.items():
        if match := _OF_PROCESS.fullmatch(key):
            by_process.setdefault(match["name"], {})[match["process"]] = value
    if not by_process:
        return None
    processes = list(in_order(dict.fromkeys(process for costs in by_process.values() for process in costs)))
    rows = []
    for name, costs in by_process.items():
        if not any(costs.values()):
            continue
        shown = figures([summary.handoff.get(name), *(costs.get(process) for process in processes)])
        rows.append([name.removesuffix(_EACH).replace("_", " "), *shown])
    source = "stack samples" if summary.handoff_source == "samples" else "the server's own counters"
    head = ["handoff of a request", "all", *map(short_name, processes)]
    return table("handoff", head, rows, note=f"by {source}; in the unit that each names")


def handoff_facts(summary: Summary) -> list[Fact]:
    """Figures of the handoff that no process has of its own, and the same costs by samples."""
    known = {key.split("{")[0] for key in summary.handoff if "{" in key}
    single = {key: value for key, value in sorted(summary.handoff.items()) if key not in known and "{" not in key}
    counted = {
        key.removesuffix(_EACH).replace("_", " "): f"{figure(value)}{' a request' if key.endswith(_EACH) else ''}"
        for key, value in single.items()
        if value or key.endswith("_rate")
    }
    sampled = {
        f"{kind}, by stack samples": f"{_ms(cost)} ms CPU a request"
        for kind, cost in summary.phase_cpu_ms_per_request.items()
    }
    return facts({**counted, **sampled})


def looking_facts(looking: Looking) -> list[Fact]:
    """What looking cost, in percent of a core, and the profiled window over the measured one."""
    driver, sampling, scraping = (
        figure(pct, most=1) for pct in (looking.driver_pct, looking.sampling_pct, looking.scraping_pct)
    )
    spent = {short_name(name): figure(pct, most=1) for name, pct in looking.py_spy_pct.items() if pct}
    ratios = {"load": looking.load, "answers": looking.rate, "service p50": looking.service_p50}
    return facts(
        {
            "driver": ""
            if looking.driver_pct is None
            else f"{driver} % of a core (sampling {sampling}, scraping {scraping})",
            "py-spy, while it profiled": ", ".join(f"{name} {pct} %" for name, pct in spent.items()),
            "profiled over measured window": ", ".join(
                f"{name} {ratio.value:.2f}{_bounds(ratio)}" for name, ratio in ratios.items() if ratio
            ),
        }
    )


def _bounds(ratio: Estimate) -> str:
    if ratio.low is None:
        return ""
    return f" ({ratio.low:.2f} and more)" if ratio.high is None else f" ({ratio.low:.2f} to {ratio.high:.2f})"


def _ordered(phases: Iterable[str]) -> list[str]:
    """The known phases in the order of a request's way, then any other."""
    found = set(phases)
    return [*(phase for phase in PHASE_COLOURS if phase in found), *sorted(found - PHASE_COLOURS.keys())]


def _colour(phase: str) -> str:
    return PHASE_COLOURS.get(phase, _NO_COLOUR)
