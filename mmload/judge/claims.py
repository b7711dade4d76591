"""Claims about the handoff, held against what was measured.

SUPPORTED: the whole interval lies where the claim says; REFUTED: none of it does; CANNOT TELL: neither. "About" a value
is up to `tolerance` times more or less.

Processes that outnumber the cores take turns, and a wall time is then longer than on a host with a core for each. What
it would be there is known between two bounds, and a claim about such a host is judged by these:

    wall     at most what it was here; at least the CPU time spread over all processes, and at least the wall time less
             all CPU time (waiting for a core is waiting for somebody who burns)
    ratio    the least of one over the most of the other, and the other way round

CPU times and bytes are what they are, on any number of cores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mmload import __version__
from mmload.analyse.blocks import FEWEST_BLOCKS
from mmload.analyse.cpu import Interval
from mmload.analyse.handoff_alone import Measured, Place, estimate
from mmload.handoff.registry import STRATEGIES
from mmload.model.handoff import (
    Cell,
    ClaimOp,
    ClaimResult,
    ClaimWord,
    Estimate,
    HandoffReport,
    Observation,
)
from mmload.plan.claims import Claim, Claims
from mmload.plan.handoff import MB

_OF_WALL = ("wall_ms", "overhead_ms", "throughput_rps")
_TOO_FEW = f"needs {FEWEST_BLOCKS} rounds"


def report_of(
    observations: Sequence[Observation], files: Iterable[Claims], *, cores: int, complete: bool
) -> HandoffReport:
    """All that can be said of what was seen. cores: that the processes may use."""
    measured = Measured(observations)
    claims, unmeasured = judge_claims(files, measured, cores)
    return HandoffReport(
        version=__version__,
        complete=complete,
        cores=cores,
        warnings=list(_warnings(measured, cores, complete=complete)),
        rows=measured.rows(),
        claims=claims,
        unmeasured=unmeasured,
    )


def judge_claims(files: Iterable[Claims], measured: Measured, cores: int) -> tuple[list[ClaimResult], int]:
    """Those about what was measured, in the order of their files, and how many are about something else."""
    results, unmeasured = [], 0
    for file in files:
        for claim in file.claims:
            found = [
                result
                for place in measured.places
                if _is_about(claim, place) and (result := _judged(file, claim, place, measured, cores)) is not None
            ]
            results += found
            unmeasured += not found
    return results, unmeasured


def word(op: ClaimOp, value: float, tolerance: float, low: float, high: float) -> ClaimWord:
    """What an interval says of a claim."""
    least = 0.0 if op == "<=" else value / (tolerance if op == "about" else 1)
    most = float("inf") if op == ">=" else value * (tolerance if op == "about" else 1)
    if least <= low and high <= most:
        return "SUPPORTED"
    return "REFUTED" if high < least or low > most else "CANNOT TELL"


def _is_about(claim: Claim, place: Place) -> bool:
    variant, cell = place
    return (
        (claim.variant, claim.tp, claim.batch, claim.build_ms) == (variant, cell.tp, cell.batch, cell.build_ms)
        and (claim.size_mb is None or round(claim.size_mb * MB) == cell.size_bytes)
    )  # fmt: skip


def _judged(file: Claims, claim: Claim, place: Place, measured: Measured, cores: int) -> ClaimResult | None:
    """None where what it is compared with was not measured."""
    found = [
        (versus, figure)
        for versus in _compared_with(claim, place, measured)
        if (figure := _figure(claim, place, versus, measured)) is not None
    ]
    if not found:
        return None
    versus, figure = _worst(found)
    missing = _missing(claim, place, measured)
    bounds = None if figure.low is None or figure.high is None else Interval(figure.value, figure.low, figure.high)
    if bounds and claim.figure in _OF_WALL and not file.this_host and cores < place[1].tp + 1:
        bounds = _with_enough_cores(claim, place, versus, measured)
    verdict = word(claim.op, claim.value, claim.tolerance, bounds.low, bounds.high) if bounds else "CANNOT TELL"
    if missing and verdict == "SUPPORTED":  # one of them may be ahead; one that is refutes it without the others
        verdict = "CANNOT TELL"
    return ClaimResult(
        source=file.name,
        says=claim.says,
        figure=claim.figure,
        variant=claim.variant,
        versus=versus[0] if versus else None,
        cell=place[1],
        op=claim.op,
        claimed=claim.value,
        tolerance=claim.tolerance,
        measured=figure,
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
        verdict=verdict,
        note=("" if bounds else _TOO_FEW) or (f"{len(missing)} rivals unmeasured" if missing else ""),
    )


def _worst(found: Sequence[tuple[Place | None, Estimate]]) -> tuple[Place | None, Estimate]:
    """Of several ratios the largest, and how large that may be: as much as the least and the most of any of them."""
    versus, figure = max(found, key=lambda one: one[1].value)
    lows, highs = [each.low for _, each in found], [each.high for _, each in found]
    known = [low for low in lows if low is not None], [high for high in highs if high is not None]
    if len(known[0]) < len(found) or len(known[1]) < len(found):
        return versus, Estimate(value=figure.value)
    return versus, Estimate(value=figure.value, low=max(known[0]), high=max(known[1]))


def _compared_with(claim: Claim, place: Place, measured: Measured) -> Sequence[Place | None]:
    if claim.versus is None:
        return [None]
    if claim.versus != "others":
        return [(claim.versus, place[1])]
    return [other for other in measured.places if other[1] == place[1] and other[0] != place[0]]


def _missing(claim: Claim, place: Place, measured: Measured) -> list[str]:
    """The variants that a claim is about and that were not measured at its place. What is not a variant of its own
    (stock, and rollback, which is original by another name) is not missed."""
    if claim.versus != "others":
        return []
    there = {variant for variant, cell in measured.places if cell == place[1]}
    return sorted(set(STRATEGIES) - there - {"stock", "rollback"})


def _figure(claim: Claim, place: Place, versus: Place | None, measured: Measured) -> Estimate | None:
    if versus is not None:
        return measured.ratio(place, versus, claim.figure)
    rounds = measured.figure(place, claim.figure)
    return estimate(rounds.values()) if rounds else None


def _with_enough_cores(claim: Claim, place: Place, versus: Place | None, measured: Measured) -> Interval | None:
    """Of a figure that follows from the wall time, on a host with a core for each process."""
    ours = _reach(claim.figure, place, measured)
    if versus is None or ours is None:
        return ours
    theirs = _reach(claim.figure, versus, measured)
    return theirs and Interval(ours.value / theirs.value, ours.low / theirs.high, ours.high / theirs.low)


def _reach(figure: str, place: Place, measured: Measured) -> Interval | None:
    wall, cpu = (estimate(measured.figure(place, name).values()) for name in ("wall_ms", "cpu_ms"))
    if wall.low is None or wall.high is None or cpu.low is None or cpu.high is None:
        return None
    low_ms = max(cpu.low / (place[1].tp + 1), wall.low - cpu.high)
    if figure == "throughput_rps":
        return Interval(1e3 / wall.value, 1e3 / wall.high, 1e3 / low_ms)
    less_ms = _build_ms(place[1]) if figure == "overhead_ms" else 0.0
    return Interval(wall.value - less_ms, max(0.0, low_ms - less_ms), wall.high - less_ms)


def _build_ms(cell: Cell) -> float:
    return cell.build_ms or 0.0


def _warnings(measured: Measured, cores: int, *, complete: bool) -> Iterator[str]:
    processes = 1 + max(cell.tp for _, cell in measured.places)
    if not complete:
        yield "ended early: these are the figures of what was measured until then"
    if cores < processes:
        yield (
            f"{processes} processes on {cores} {'core' if cores == 1 else 'cores'}: what runs side by side elsewhere "
            "takes turns here, so wall times are longer and throughputs lower than with a core for each process; CPU "
            "and bytes are what they are. Claims about other hosts are judged on what the wall time may be with a core "
            "for each (docs/how-it-works.md)"
        )
    if min(len(measured.figure(place, "wall_ms")) for place in measured.places) < FEWEST_BLOCKS:
        yield f"fewer than {FEWEST_BLOCKS} rounds: figures without interval decide no claim"
    for variant, number in measured.fallbacks.items():
        if number:
            yield f"{variant}: {number} times a rank built for itself what it should have received"
