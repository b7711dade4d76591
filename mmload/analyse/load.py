"""What was offered and what came back: the measure window, its requests, rates and outcomes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse.blocks import block_edges_ns
from mmload.errors import ConfigError
from mmload.model.plan import OpenLoop, Plan
from mmload.model.records import OUTCOMES
from mmload.plan.arrivals import main_windows, measured_due_ns
from mmload.store.read import Run
from mmload.store.requests import ABSENT, MODALITIES, UNSAID, RequestTable

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
    """The measure window of a run, of a profile without load its profile window; None when it never began. Raises
    FolderError on damage."""
    manifest = run.manifest
    name = "profile" if manifest.kind == "profile" else "measure"
    phase = next((phase for phase in manifest.phases if phase.name == name), None)
    if manifest.status == "complete":
        return Window(phase.start_ns, phase.end_ns, complete=True) if phase and phase.end_ns > phase.start_ns else None
    start_ns = phase.start_ns if phase else _first_due_ns(run.requests)
    if start_ns is None:
        return None
    ends_ns = [last_evidence_ns(run)]
    if phase and phase.end_ns > start_ns:
        ends_ns.append(phase.end_ns)
    planned_ns = _planned_length_ns(run.plan)
    if planned_ns is not None:
        ends_ns.append(start_ns + planned_ns)
    length_ns = min(ends_ns) - start_ns
    complete = planned_ns is not None and length_ns >= planned_ns - _ROUNDING_NS
    return Window(start_ns, min(ends_ns), complete) if length_ns > 0 else None


def measured_requests(requests: RequestTable, window: Window) -> RequestTable:
    """The requests of the phase 'measure' that were due in the window, by due time."""
    measured = requests.of_phase("measure")
    return measured[: int(np.searchsorted(measured.due_ns, window.end_ns, side="right"))]


def scheduled_requests(run: Run, measured: RequestTable, window: Window) -> int:
    """How many requests were to be sent in the window, whatever became of them; never fewer than have a record.

    Of an open loop, those that its schedule has due by the end of the window. A closed loop has no schedule: what its
    generator counted over the whole run and has no record is added, once the run is complete and nothing is in flight.
    """
    if not isinstance(run.plan.load, OpenLoop):
        return len(measured) + (_unrecorded(run) if run.manifest.status == "complete" else 0)
    return max(len(measured), _due_by_schedule(run.plan, measured, window))


def missing_requests(run: Run, measured: RequestTable, window: Window) -> int:
    """Scheduled requests of the window that have no record. 0 while the run goes on: those are in flight."""
    if run.manifest.status == "running":
        return 0
    return scheduled_requests(run, measured, window) - len(measured)


def offered_rps(run: Run, measured: RequestTable, window: Window) -> float | None:
    """Scheduled requests over the window. None in a closed loop: it offers nothing, it follows."""
    if not isinstance(run.plan.load, OpenLoop):
        return None
    return scheduled_requests(run, measured, window) / window.length_s


def answers_per_block(requests: RequestTable, window: Window) -> NDArray[np.float64]:
    """Correct answers per second in each block of the window, by the time they were complete; maybe no blocks."""
    done_ns = _answered_ns(requests, window)
    edges = block_edges_ns(window.start_ns, window.end_ns)
    if not len(edges):
        return np.empty(0)
    return np.histogram(done_ns, edges)[0] / (np.diff(edges) / 1e9)


def achieved_rps(requests: RequestTable, window: Window) -> float:
    """Correct answers complete within the window, whenever they were due, over its length: what everybody calls QPS."""
    return len(_answered_ns(requests, window)) / window.length_s


def answers_to_warmup(requests: RequestTable, window: Window) -> int:
    """Correct answers complete within the window to requests that were due before it."""
    return len(_answered_ns(requests.of_phase("warmup"), window))


def outcomes(measured: RequestTable) -> dict[str, int]:
    """Outcome -> requests, in the order of model.records.OUTCOMES, without the kinds that did not occur."""
    return _counts(OUTCOMES, measured.outcome)


def modalities(measured: RequestTable) -> dict[str, int]:
    """Modality -> requests, by name."""
    return dict(sorted(_counts(MODALITIES, measured.modality).items()))


def tokens_per_s(requests: RequestTable, window: Window) -> float | None:
    """Completion tokens of correct answers that arrived within the window, whenever the request was due, over its
    length. An answer that was not streamed arrived when it was done, and counts as far as the server says how many
    tokens it has; None without any that do."""
    said = requests.is_ok & ((requests.completion_tokens > 0) | (requests.token_count > 0))
    if not said.any():
        return None
    arrived = (tokens for part in requests.parts() for tokens in (_streamed(part, window), _at_once(part, window)))
    return math.fsum(chain.from_iterable(arrived)) / window.length_s


def understated_answers(measured: RequestTable) -> int:
    """Correct answers that came in more pieces than the server says they have tokens."""
    said = measured.completion_tokens != UNSAID
    return int((measured.is_ok & said & (measured.token_count > measured.completion_tokens)).sum())


def cached_token_share(measured: RequestTable) -> float | None:
    """Prompt tokens that the server found in its cache, as a share; None where it does not say."""
    said = _says_cached(measured)
    prompt_tokens = int(measured.prompt_tokens[said].sum(dtype=np.int64))
    return int(measured.cached_tokens[said].sum(dtype=np.int64)) / prompt_tokens if prompt_tokens else None


def cache_hit_share(measured: RequestTable) -> float | None:
    """The share of the requests of which the server found more than half of the prompt in its cache; None where it does
    not say. A chat template's first words are cached for every request, a repeated one up to its last tokens."""
    said = _says_cached(measured)
    if not said.any():
        return None
    return float((2 * measured.cached_tokens[said].astype(np.int64) > measured.prompt_tokens[said]).mean())


def _says_cached(measured: RequestTable) -> NDArray[np.bool_]:
    return np.asarray((measured.cached_tokens != UNSAID) & (measured.prompt_tokens > 0), np.bool_)


def _streamed(part: RequestTable, window: Window) -> NDArray[np.float64]:
    """Of each correct, streamed answer the tokens that arrived within the window. An event may bring several tokens:
    its part of RequestTable.answer_tokens."""
    streamed = part.token_count > 0
    if not streamed.any():
        return np.empty(0)
    within = _is_within(part.tokens, window)
    arrived = np.add.reduceat(within, (part.token_bounds[:-1] - part.token_bounds[0])[streamed], dtype=np.int64)
    tokens = part.answer_tokens[streamed] * arrived / part.token_count[streamed]
    return np.asarray(tokens[part.is_ok[streamed]], np.float64)


def _at_once(part: RequestTable, window: Window) -> NDArray[np.int32]:
    """The tokens of each correct answer that was not streamed and was complete within the window."""
    counted = (part.token_count == 0) & (part.completion_tokens > 0)
    return np.asarray(part.completion_tokens[part.is_ok & counted & _is_within(part.done_ns, window)], np.int32)


def _answered_ns(requests: RequestTable, window: Window) -> NDArray[np.int64]:
    return requests.done_ns[requests.is_ok & _is_within(requests.done_ns, window)]


def _is_within(t_ns: NDArray[np.int64], window: Window) -> NDArray[np.bool_]:
    return (t_ns >= window.start_ns) & (t_ns <= window.end_ns)


def _counts(names: Sequence[str], codes: NDArray[np.uint8]) -> dict[str, int]:
    """Name -> how often its place in `names` occurs, without those that do not."""
    found = np.bincount(codes, minlength=len(names)).tolist()
    return {name: count for name, count in zip(names, found, strict=True) if count}


def _due_by_schedule(plan: Plan, measured: RequestTable, window: Window) -> int:
    """Requests that the plan's schedule has due in the window. Where its trace is gone: what the plan says of a window
    that was run to its end, and the records of another."""
    assert isinstance(plan.load, OpenLoop)
    try:
        due_ns = measured_due_ns(plan)
    except ConfigError:
        return round(plan.load.rate_rps * window.length_s) if window.complete else len(measured)
    assert due_ns is not None
    if window.complete:
        return len(due_ns)
    return int(np.searchsorted(due_ns, window.end_ns - window.start_ns, side="right"))


def _unrecorded(run: Run) -> int:
    """Requests of all phases that the workers counted as due and that have no record."""
    due: defaultdict[int, int] = defaultdict(int)
    for sample in run.generator:
        due[sample.worker] = max(due[sample.worker], sample.due)
    return max(0, sum(due.values()) - len(run.requests))


def _planned_length_ns(plan: Plan) -> int | None:
    """None in a closed loop that ends with a number of requests."""
    if plan.requests is not None and not isinstance(plan.load, OpenLoop):
        return None
    _, measure = main_windows(plan)
    return measure.end_ns - measure.start_ns


def _first_due_ns(requests: RequestTable) -> int | None:
    measured = requests.of_phase("measure")
    return int(measured.due_ns[0]) if len(measured) else None


def last_evidence_ns(run: Run) -> int:
    """When the last thing that was recorded happened. A dropped request is no evidence: it was never sent."""
    requests = run.requests
    ended_ns = np.where(requests.done_ns != ABSENT, requests.done_ns, requests.sent_ns)
    return max(int(ended_ns.max(initial=0)), run.last_sample_ns)
