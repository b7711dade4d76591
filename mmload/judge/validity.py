"""Whether the figures of a stored run can be trusted at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
import numpy as np

from mmload.analyse.load import Window, measure_window, measured_requests, missing_requests
from mmload.analyse.load_generator import generator_faults, generator_health
from mmload.errors import FolderError, UsageError
from mmload.judge.comparable import names_of
from mmload.model.manifest import Manifest, Phase
from mmload.model.plan import ClosedLoop, GeneratorLimits
from mmload.model.records import CUT_OFF
from mmload.plan.check import check_bounds
from mmload.store.read import Run
from mmload.store.requests import ABSENT, RequestTable

_MOST_RANKS = 4096
_LAST_NS = 2**62  # 146 years after the host was started
_LONGEST_PHASE_NS = 30 * 86400 * 10**9  # no plan asks for more than 14 days; workers may be slow to end
_EARLY_NS = 1_000_000  # a wait may end a little early; of a worker elsewhere all times are moved by the same
_MOST_BASELINE_ERRORS = 0.01  # with more, not even its P99 is a time that another could be compared with


def check_sanity(run: Run) -> None:
    """Raise FolderError where the plan or the manifest holds what no run can have been."""
    try:
        check_bounds(run.plan)
    except UsageError as error:
        raise FolderError(f"{run.layout.plan} is damaged: {error}", error.hint) from error
    manifest = run.manifest
    absurd = [f"the phase {phase.name}" for phase in manifest.phases if not _is_possible(phase)]
    absurd += [] if manifest.tp is None or 0 < manifest.tp <= _MOST_RANKS else [f"tp {manifest.tp}"]
    if absurd:
        raise FolderError(f"{run.layout.manifest} is damaged: {absurd[0]} can't have been")


def _is_possible(phase: Phase) -> bool:
    return phase.start_ns >= 0 and phase.end_ns < _LAST_NS and phase.end_ns - phase.start_ns <= _LONGEST_PHASE_NS


def faults_of(run: Run) -> list[str]:
    """Why not, one sentence a reason, whatever the server did; empty for a valid run. Raises FolderError on damage.

    A run whose server failed need not have come to its end, but what was sent must have been sent in time.
    """
    check_sanity(run)
    damage = [*_contradictions(run), *_damage(run)]
    if run.manifest.validity != "valid":
        return [*damage, *run.manifest.validity]
    window = measure_window(run)
    measured = measured_requests(run.requests, window) if window else run.requests[:0]
    if run.manifest.status != "failed" and (early := _early_end(run, window, measured)):
        return [*damage, early]
    if window is None or not measured:
        return damage
    missing = missing_requests(run, measured, window)
    health = generator_health(measured, missing, run.generator, window, run.manifest.error)
    return [*damage, *generator_faults(health, _strict(run.plan.limits))]


def standing(run: Run) -> list[str]:
    """The same, as it is told to whoever looks at any run: of one that still goes on, and of a profile without load,
    neither of which is judged, what its manifest says. Raises FolderError on damage."""
    if run.manifest.status != "running" and run.manifest.kind == "run":
        return faults_of(run)
    return [] if run.manifest.validity == "valid" else run.manifest.validity


def standing_manifest(run: Run) -> Manifest:
    """The manifest, its validity what `standing` says now, whatever was true when it was written."""
    return msgspec.structs.replace(run.manifest, validity=standing(run) or "valid")


def unfit_as_baseline(run: Run) -> list[str]:
    """Why a run can't be compared with, one sentence a reason; empty when it can. Raises FolderError on damage."""
    if run.manifest.status == "failed":
        return ["its server failed"]
    return faults_of(run) or _many_errors(run)


def _contradictions(run: Run) -> list[str]:
    """Where the folder is not that of the run that its manifest tells of."""
    manifest, plan = run.manifest, run.plan
    found = []
    if manifest.run_id != run.run_id:
        found.append(f"its manifest is that of {manifest.run_id}")
    if manifest.seed != plan.seed:
        found.append(f"its manifest has the seed {manifest.seed}, its plan {plan.seed}")
    if plan.variant is not None and plan.variant not in names_of(run):  # without one: whatever the server announced
        found.append(f"its manifest has the variant {manifest.variant}, its plan {plan.variant}")
    return [f"the folder contradicts itself: {reason}" for reason in found]


def _damage(run: Run) -> list[str]:
    """Where the records break the rule that every scheduled request has exactly one."""
    found = []
    repeated = _repeated(run.requests)
    if repeated:
        found.append(f"{repeated:,} requests have more than one record")
    recorded = dict(zip(*np.unique(run.requests.worker, return_counts=True), strict=True))
    done: Counter[int] = Counter()
    for sample in run.generator:
        done[sample.worker] = max(done[sample.worker], sample.done)
    lost = sum(max(0, count - recorded.get(worker, 0)) for worker, count in done.items())
    if lost:
        found.append(f"{lost:,} of the requests that the generator saw done have no record")
    if run.plan.requests is not None and isinstance(run.plan.load, ClosedLoop) and run.manifest.status == "complete":
        measured = len(run.requests.of_phase("measure"))
        if measured < run.plan.requests:
            found.append(f"{run.plan.requests:,} requests were to be measured, {measured:,} have a record")
    return [f"records damaged: {reason}" for reason in (*found, *_impossible_times(run))]


def _impossible_times(run: Run) -> Iterator[str]:
    requests = run.requests
    sent = requests.sent_ns != ABSENT
    before = sent & np.any(
        [(at != ABSENT) & (at < requests.sent_ns) for at in (requests.first_token_ns, requests.done_ns)], axis=0
    )
    if before.any():
        yield f"{int(before.sum()):,} answers came before they were asked for"
    lead_ns = requests.due_ns[sent] + requests.connect_ns[sent] - requests.sent_ns[sent]
    early = int((lead_ns > _EARLY_NS).sum())
    if early:
        yield f"{early:,} requests were sent before they were due"


def _repeated(requests: RequestTable) -> int:
    """How many ids occur more than once."""
    ids = np.sort(requests.id)
    again = ids[1:] == ids[:-1]
    return int(again.sum() - (again[1:] & again[:-1]).sum())


def _early_end(run: Run, window: Window | None, measured: RequestTable) -> str | None:
    """What is missing because the run was ended early; None where nothing is."""
    if window is None:
        return "the run ended before anything was measured"
    if not window.complete:
        return f"the run ended {window.length_s:.1f} s into its measure window"
    if run.manifest.status != "complete" and isinstance(run.plan.load, ClosedLoop):
        return "the run was cut off, and in a closed loop nobody can tell whether its slowest requests are missing"
    if not measured:
        return "no request was due in the measure window"
    cut_off = int(measured.has_error(CUT_OFF).sum())
    return f"the run was ended before {cut_off:,} requests of the measure window were answered" if cut_off else None


def _strict(limits: GeneratorLimits) -> GeneratorLimits:
    """A plan may ask more of the generator than the defaults do, but not less: it is not its own judge."""
    default = GeneratorLimits()
    return GeneratorLimits(
        lag_p99_ms=min(limits.lag_p99_ms, default.lag_p99_ms),
        stall_ms=min(limits.stall_ms, default.stall_ms),
        undelivered=min(limits.undelivered, default.undelivered),
    )


def _many_errors(run: Run) -> list[str]:
    window = measure_window(run)
    measured = measured_requests(run.requests, window) if window else run.requests[:0]
    failed = len(measured) - int(measured.is_ok.sum())
    if failed <= _MOST_BASELINE_ERRORS * len(measured):
        return []
    share = failed / len(measured)
    return [f"{share:.1%} of its requests failed, of a baseline's at most {_MOST_BASELINE_ERRORS:.0%} may"]
