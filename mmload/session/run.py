"""One run: server and payloads, identity, warm-up and measure, drain, profile, seal."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeGuard

import msgspec

from mmload.drive.fleet import Fleet
from mmload.drive.job import Closed, Endpoint, Identity, Job, Open
from mmload.drive.joining import Orders
from mmload.drive.scratch import make_scratch
from mmload.errors import RunInvalid, ServerDied, ServerError, UsageError
from mmload.model.live import LiveView
from mmload.model.manifest import Membership, WorkerInfo
from mmload.model.plan import ClosedLoop, Plan
from mmload.model.records import RequestRecord
from mmload.observe.observer import Observer
from mmload.observe.stacks import worth_profiling
from mmload.plan.access import request_headers
from mmload.plan.arrivals import PROFILE_LEAD_S, RunSchedule, build_schedule, main_windows
from mmload.plan.check import check_meeting, check_plan
from mmload.plan.payloads import check_payloads
from mmload.plan.prepared import Digests, pool_folder, prepare_load, schedule_files
from mmload.plan.workload import workload_of
from mmload.serve.target import Target, aim, check_ready_for, preflight
from mmload.session.crew import Crew, Show
from mmload.session.interrupt import interruption
from mmload.session.ledger import Ledger
from mmload.session.looking import cost_noted
from mmload.session.observers import local_observer, reach_agent
from mmload.session.profile import ProfileWindow, StampedWindow
from mmload.session.ranks import rank_infos
from mmload.store.append import create_run_folder, write_document
from mmload.store.layout import RunLayout, new_run_id
from mmload.store.lock import writing
from mmload.store.read import Run

_START_LEAD_NS = 300_000_000  # from the command to the first request, so that no worker hears of it too late
_START_LEAD_OF_JOINED_NS = 1_000_000_000
_ATTACH_AFTER_NS = 500_000_000  # profilers attach to a server that is at work already


def run(plan: Plan, out: Path, show: Show, sealed: Callable[[Run], None], member: Membership | None = None) -> Run:
    """Carry out `plan` in a new folder below `out`. member: of which campaign it is a run.

    Whatever ends the run early, what was measured is sealed first and handed to `sealed`, which is called exactly once
    if a folder was made. Raises UsageError, ServerError, FolderError, RunInvalid or Interrupted.
    """
    check_plan(plan)
    schedule = build_schedule(plan)
    check_payloads(plan)
    check_meeting(plan)
    with interruption() as interrupted:
        variant = preflight(plan)
        agent = reach_agent(plan)
        layout = create_run_folder(out, new_run_id(variant))
        write_document(layout.plan, plan)
        with writing(layout.plan):
            crew = Crew(layout, Ledger(layout, plan, variant, member), show, interrupted)
            try:
                with ExitStack() as stack:
                    _measure(plan, schedule, crew, agent, stack)
            except BaseException as failure:
                stored = _seal(crew, failure)
                sealed(stored)
                if _may_be_ours(failure) and stored.manifest.validity != "valid":
                    raise RunInvalid(f"{stored.manifest.validity[0]}; then {failure}", failure.hint) from failure
                raise
            stored = _seal(crew, None)
            sealed(stored)
            return stored


def _may_be_ours(failure: BaseException) -> TypeGuard[ServerError]:
    """Whether a generator at fault may have brought it about: a server that ended did so by itself."""
    return isinstance(failure, ServerError) and not isinstance(failure, ServerDied)


def _seal(crew: Crew, failure: BaseException | None) -> Run:
    crew.show(LiveView(stage="sealing"))
    lost = crew.fleet.lost if crew.fleet else []
    return crew.ledger.seal(failure, lost or ([str(failure)] if isinstance(failure, RunInvalid) else []))


def _measure(plan: Plan, schedule: RunSchedule | None, crew: Crew, agent: Observer | None, stack: ExitStack) -> None:
    crew.ledger.note()
    scratch = make_scratch()
    stack.callback(shutil.rmtree, scratch, ignore_errors=True)
    crew.target = target = aim(plan, crew.layout.server_log)
    stack.callback(target.stop)
    digests = _prepare(plan, schedule, scratch, crew)
    observer = agent or local_observer(plan, target)
    _meet_server(plan, target, observer, crew)
    crew.observe(target, observer, plan, stack)
    _hire(plan, target, digests, scratch, crew, stack)
    shutil.rmtree(scratch)  # the workers hold what they need: nothing is left on the disk, whatever ends the run
    _check_identity(crew)
    _send_main(plan, crew)
    if plan.profile.enabled:
        _send_profile(plan, target, observer, crew)


def _prepare(plan: Plan, schedule: RunSchedule | None, scratch: Path, crew: Crew) -> Digests:
    crew.tracker.enter("payloads")
    pool, digests = prepare_load(plan, schedule, scratch, lambda _done, _total: crew.glance())
    crew.ledger.note(payloads_sha256=digests.payloads_sha256, schedule_sha256=digests.schedule_sha256)
    if pool.repeats:
        crew.ledger.warn(
            f"{pool.repeats} of {pool.wanted} requests repeat an earlier body (the pool holds {pool.load}): "
            "a server that caches answers them faster"
        )
    return digests


def _meet_server(plan: Plan, target: Target, observer: Observer, crew: Crew) -> None:
    """Wait until the server is ready, and put into the manifest what it is."""
    crew.tracker.enter("server")
    target.wait_until_ready(crew.turn, plan.engine)
    info = target.client.info()
    check_ready_for(info, _modalities(plan), plan.variant)
    target.processes = observer.find()
    if not target.processes:
        crew.ledger.warn(
            f"{target.url} is on another host: its processes are neither sampled nor profiled (--agent does both)"
        )
    crew.ledger.note_server(info)
    crew.ledger.note(ranks=rank_infos(target.processes, info))


def _modalities(plan: Plan) -> set[str]:
    """What the workload sends, as far as its file tells: a dataset's lines are met one by one."""
    return {type(item).__name__.lower() for item in workload_of(plan).items}


def _hire(plan: Plan, target: Target, digests: Digests, scratch: Path, crew: Crew, stack: ExitStack) -> None:
    """Start the workers, or have them join, and wait until each is ready."""
    crew.tracker.enter("workers")
    flags = crew.ledger.manifest.flags
    endpoint = Endpoint(
        url=target.url,
        path=workload_of(plan).endpoint,
        timeout_s=plan.timeout_s,
        adds_text=bool(flags.get("stream_output") or flags.get("incremental_streaming_output")),
    )
    layout = crew.layout
    if plan.meeting is None:
        fleet = Fleet.of_children(_jobs(plan, endpoint, scratch, layout), layout, scratch)
    else:
        fleet = Fleet.of_joined(_orders(plan, endpoint, digests, layout), layout, scratch)
    crew.hire(fleet, stack)
    crew.ledger.note(workers=[_worker_info(fleet, worker) for worker in sorted(fleet.joined)])


def _jobs(plan: Plan, endpoint: Endpoint, scratch: Path, layout: RunLayout) -> list[Job]:
    return [
        Job(
            worker=worker,
            workers=plan.workers,
            plan=plan,
            endpoint=msgspec.structs.replace(endpoint, headers=request_headers(plan.access)),
            pool=str(pool_folder(scratch)),
            schedules=schedule_files(scratch),
            run_folder=str(layout.path),
            run_tag=layout.run_id[-4:],
        )
        for worker in range(plan.workers)
    ]


def _orders(plan: Plan, endpoint: Endpoint, digests: Digests, layout: RunLayout) -> Orders:
    assert plan.meeting is not None
    return Orders(
        run_id=layout.run_id,
        plan=plan,
        endpoint=endpoint,
        digests=digests,
        run_folder=str(layout.path),
        local=plan.workers - plan.meeting.expected,
    )


def _worker_info(fleet: Fleet, worker: int) -> WorkerInfo:
    joined = fleet.joined[worker]
    return WorkerInfo(
        worker=worker, host=joined.host, pid=joined.pid, clock_error_ms=fleet.clock_error_ns[worker] / 1e6
    )


def _check_identity(crew: Crew) -> None:
    """Send the identity items one at a time. Raises UsageError when the server refuses all of a kind."""
    start_ns = time.monotonic_ns()
    crew.tracker.enter("identity")
    records: list[RequestRecord] = []
    crew.run_segment(Identity(), records.extend)
    crew.ledger.phase("identity", start_ns, time.monotonic_ns())
    by_modality: dict[str, list[RequestRecord]] = {}
    for record in records:
        by_modality.setdefault(record.modality, []).append(record)
    for modality, sent in by_modality.items():
        if all(record.status in (400, 422) for record in sent):
            raise UsageError(
                f"the server refuses requests with modality {modality}: {sent[0].error}",
                "choose a workload that it can answer: mmload workload list",
            )
    wrong = [record for record in records if record.outcome != "ok"]
    if wrong:
        crew.ledger.warn(f"{len(wrong)} of {len(records)} identity requests failed: {wrong[0].error}")


def _send_main(plan: Plan, crew: Crew) -> None:
    """Warm-up and measure, back to back, then what is still in flight."""
    warmup, measure = main_windows(plan)
    start_ns = _start_ns(plan)
    after_ns = round((PROFILE_LEAD_S + plan.profile.window_s) * 1e9) if plan.profile.enabled else 0
    counted = isinstance(plan.load, ClosedLoop) and plan.requests is not None
    crew.left_until_ns = None if counted else start_ns + measure.end_ns + after_ns
    for window in (warmup, measure):
        crew.ledger.phase(window.phase, start_ns + window.start_ns, start_ns + window.end_ns)
    stages = [
        (start_ns + warmup.start_ns, "warmup", (warmup.end_ns - warmup.start_ns) / 1e9),
        (start_ns + measure.start_ns, "measure", None if counted else (measure.end_ns - measure.start_ns) / 1e9),
        *([] if counted else [(start_ns + measure.end_ns, "drain", None)]),
    ]

    def enter_stage(_records: list[RequestRecord]) -> None:
        while stages and time.monotonic_ns() >= stages[0][0]:
            at_ns, stage, length_s = stages.pop(0)
            crew.tracker.enter(stage, at_ns, length_s)
            if crew.scraper is not None:
                crew.scraper.scrape_now()

    with cost_noted(crew.ledger, crew.sampler, crew.scraper):
        crew.run_segment(_load_command(plan, "main", start_ns), enter_stage)
    if counted:
        crew.ledger.phase("measure", start_ns + measure.start_ns, crew.tracker.last_done_ns)


def _start_ns(plan: Plan) -> int:
    return time.monotonic_ns() + (_START_LEAD_NS if plan.meeting is None else _START_LEAD_OF_JOINED_NS)


def _load_command(plan: Plan, segment: str, start_ns: int) -> Open | Closed:
    if not isinstance(plan.load, ClosedLoop):
        return Open(segment=segment, start_ns=start_ns)
    if segment == "main":
        measure_s = plan.duration_s if plan.requests is None else float("1e9")
        phases = [("warmup", plan.warmup_s), ("measure", measure_s)]
    else:
        phases = [("profile", PROFILE_LEAD_S + plan.profile.window_s)]
    return Closed(
        segment=segment,
        start_ns=start_ns,
        concurrency=plan.load.concurrency,
        phases=phases,
        requests=plan.requests if segment == "main" else None,
    )


def _send_profile(plan: Plan, target: Target, observer: Observer, crew: Crew) -> None:
    """The same load again, with a profiler on each rank and on the tokenizer. Nothing but shares comes from it, and
    from its end what they were in while a request waited."""
    processes = worth_profiling(target.processes)
    profiler = observer.profiler(processes, crew.layout, plan.profile)
    start_ns = _start_ns(plan)
    end_ns = start_ns + round((PROFILE_LEAD_S + plan.profile.duration_s) * 1e9)
    crew.left_until_ns = start_ns + round((PROFILE_LEAD_S + plan.profile.window_s) * 1e9)
    crew.tracker.enter("profile", start_ns, PROFILE_LEAD_S + plan.profile.window_s)
    window = ProfileWindow(profiler, start_ns + _ATTACH_AFTER_NS, end_ns)
    stamper = observer.stamper(processes, crew.layout, plan.profile)
    stamped = StampedWindow(stamper, window, end_ns, crew.left_until_ns)

    def turn(records: list[RequestRecord]) -> None:
        window.turn(records)
        stamped.turn()

    with ExitStack() as stack:
        stack.callback(stamped.note, crew.ledger)
        stack.callback(window.note, crew.ledger)
        crew.run_segment(_load_command(plan, "profile", start_ns), turn)
