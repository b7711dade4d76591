"""What was offered and what came back: the measure window, its requests, rates and outcomes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse.blocks import block_edges_ns
from mmload.model.plan import OpenLoop, Plan
from mmload.model.records import OUTCOMES, RequestRecord
from mmload.plan.arrivals import main_windows
from mmload.store.read import Run

_ROUNDING_NS = 1_000_000  # planned lengths are seconds in a float


class Window(msgspec.Struct, frozen=True):
    """The measured time. complete: it was run to its planned end (a partial run's ends at the last evidence)."""

    start_ns: int
    end_ns: int
    complete: bool

    @property
    def length_s(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9


def measure_window(run: Run) -> Window | None:
    """The measure window of a run; None when it never began. Raises FolderError on damage."""
    manifest = run.manifest
    phase = next((phase for phase in manifest.phases if phase.name == "measure"), None)
    if manifest.status == "complete":
        return Window(phase.start_ns, phase.end_ns, complete=True) if phase else None
    start_ns = phase.start_ns if phase else _first_due_ns(run.requests)
    if start_ns is None:
        return None
    ends_ns = [_last_evidence_ns(run)]
    if phase and phase.end_ns > start_ns:
        ends_ns.append(phase.end_ns)
    planned_ns = _planned_length_ns(run.plan)
    if planned_ns is not None:
        ends_ns.append(start_ns + planned_ns)
    length_ns = min(ends_ns) - start_ns
    complete = planned_ns is not None and length_ns >= planned_ns - _ROUNDING_NS
    return Window(start_ns, min(ends_ns), complete) if length_ns > 0 else None


def measured_requests(records: Iterable[RequestRecord], window: Window) -> list[RequestRecord]:
    """The requests of the phase 'measure' that were due in the window, by due time."""
    found = [record for record in records if record.phase == "measure" and record.due_ns <= window.end_ns]
    return sorted(found, key=attrgetter("due_ns", "id"))


def missing_requests(measured: Sequence[RequestRecord], window: Window, plan: Plan) -> int:
    """Scheduled requests of a complete window that have no record: those of a run that was killed while it drained.

    0 in a closed loop, whose schedule nobody knows, and in an incomplete window.
    """
    if not window.complete or not isinstance(plan.load, OpenLoop):
        return 0
    planned_ns = _planned_length_ns(plan) or 0
    return max(0, round(plan.load.rate_rps * planned_ns / 1e9) - len(measured))


def offered_rps(measured: Sequence[RequestRecord], window: Window, plan: Plan) -> float | None:
    """Scheduled requests over the window. None in a closed loop: it offers nothing, it follows."""
    if not isinstance(plan.load, OpenLoop):
        return None
    return (len(measured) + missing_requests(measured, window, plan)) / window.length_s


def answers_per_block(records: Iterable[RequestRecord], window: Window) -> NDArray[np.float64]:
    """Correct answers per second in each block of the window, by the time they were complete; maybe no blocks."""
    done_ns = _answered_ns(records, window)
    edges = block_edges_ns(window.start_ns, window.end_ns)
    if not len(edges):
        return np.empty(0)
    return np.histogram(done_ns, edges)[0] / (np.diff(edges) / 1e9)


def achieved_rps(records: Iterable[RequestRecord], window: Window) -> float:
    """Correct answers complete within the window, whenever they were due, over its length: what everybody calls QPS."""
    return len(_answered_ns(records, window)) / window.length_s


def answers_to_warmup(records: Iterable[RequestRecord], window: Window) -> int:
    """Correct answers complete within the window to requests that were due before it."""
    return len(_answered_ns((record for record in records if record.phase == "warmup"), window))


def outcomes(measured: Iterable[RequestRecord]) -> dict[str, int]:
    """Outcome -> requests, in the order of model.records.OUTCOMES, without the kinds that did not occur."""
    counts = Counter[str](record.outcome for record in measured)
    return {kind: counts[kind] for kind in OUTCOMES if counts[kind]}


def modalities(measured: Iterable[RequestRecord]) -> dict[str, int]:
    """Modality -> requests, by name."""
    return dict(sorted(Counter(record.modality for record in measured).items()))


def tokens_per_s(records: Iterable[RequestRecord], window: Window) -> float | None:
    """Completion tokens of correct answers that arrived within the window, whenever the request was due, over its
    length. An answer that was not streamed arrived when it was done, and counts as far as the server says how many
    tokens it has; None without any that do."""
    arrived = [_tokens_within(r, window) for r in records if r.outcome == "ok" and (r.completion_tokens or r.token_ns)]
    return sum(arrived) / window.length_s if arrived else None


def cached_token_share(measured: Iterable[RequestRecord]) -> float | None:
    """Prompt tokens that the server found in its cache, as a share; None where it does not say."""
    said = [(r.cached_tokens, r.prompt_tokens) for r in measured if r.cached_tokens is not None and r.prompt_tokens]
    return sum(cached for cached, _ in said) / sum(prompt for _, prompt in said) if said else None


def _tokens_within(record: RequestRecord, window: Window) -> float:
    """A streamed event may bring several tokens: its part of those that the server counted."""
    arrivals_ns = record.token_ns or [record.done_ns or 0]
    within = bisect_right(arrivals_ns, window.end_ns) - bisect_left(arrivals_ns, window.start_ns)
    return (record.completion_tokens or len(arrivals_ns)) * within / len(arrivals_ns)


def _answered_ns(records: Iterable[RequestRecord], window: Window) -> list[int]:
    return [
        record.done_ns
        for record in records
        if record.outcome == "ok" and record.done_ns is not None and window.start_ns <= record.done_ns <= window.end_ns
    ]


def _planned_length_ns(plan: Plan) -> int | None:
    """None in a closed loop that ends with a number of requests."""
    if plan.requests is not None and not isinstance(plan.load, OpenLoop):
        return None
    _, measure = main_windows(plan)
    return measure.end_ns - measure.start_ns


def _first_due_ns(records: Iterable[RequestRecord]) -> int | None:
    return min((record.due_ns for record in records if record.phase == "measure"), default=None)


def _last_evidence_ns(run: Run) -> int:
    """When the last thing that was recorded happened. A dropped request is no evidence: it was never sent."""
    requests = (record.done_ns or record.sent_ns or 0 for record in run.requests)
    samples = (sample.t_ns for kind in (run.processes, run.server, run.generator) for sample in kind)
    return max(max(requests, default=0), max(samples, default=0))
