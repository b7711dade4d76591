"""Whether the figures of a stored run can be trusted at all."""

from __future__ import annotations

from mmload.analyse.load import Window, measure_window, measured_requests, missing_requests
from mmload.analyse.load_generator import generator_faults, generator_health
from mmload.model.plan import OpenLoop
from mmload.model.records import CUT_OFF
from mmload.store.read import Run


def faults_of(run: Run) -> list[str]:
    """Why not, one sentence a reason, whatever the server did; empty for a valid run. Raises FolderError on damage."""
    if run.manifest.validity != "valid":
        return list(run.manifest.validity)
    window = measure_window(run)
    if window is None:
        return ["the run ended before anything was measured"]
    if not window.complete:
        return [f"the run ended {window.length_s:.1f} s into its measure window"]
    if run.manifest.status != "complete" and not isinstance(run.plan.load, OpenLoop):
        return ["the run was cut off, and in a closed loop nobody can tell whether its slowest requests are missing"]
    return _faults_in(run, window)


def unfit_as_baseline(run: Run) -> list[str]:
    """Why a run can't be compared with, one sentence a reason; empty when it can. Raises FolderError on damage."""
    return ["its server failed"] if run.manifest.status == "failed" else faults_of(run)


def _faults_in(run: Run, window: Window) -> list[str]:
    measured = measured_requests(run.requests, window)
    if not measured:
        return ["no request was due in the measure window"]
    cut_off = sum(record.error == CUT_OFF for record in measured)
    if cut_off:
        return [f"the run was ended before {cut_off:,} requests of the measure window were answered"]
    missing = missing_requests(measured, window, run.plan)
    return generator_faults(generator_health(measured, missing, run.generator, window), run.plan.limits)
