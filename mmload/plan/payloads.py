"""Makes the bodies of a run before its clock starts: the workload's items, encoded, in a pool that all workers map."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from mmload.model.plan import Plan
from mmload.plan.arrivals import PoolSize
from mmload.plan.payloads_body import encode
from mmload.plan.payloads_given import ask_of, read_given
from mmload.plan.payloads_made import make
from mmload.plan.pool import Body, Pool, PoolWriter
from mmload.plan.randomness import Purpose
from mmload.plan.workload import Workload, workload_of

_MAX_THREADS = 8


class PoolLimits(NamedTuple):
    """A longer run comes round to the pool's first item again. At least one load item is made."""

    items: int
    body_bytes: int


DEFAULT_LIMITS = PoolLimits(items=8192, body_bytes=2**30)


class _Job(NamedTuple):
    purpose: Purpose
    number: int


class _Source(NamedTuple):
    """Where bodies come from. available: how many there are; None: as many as wanted."""

    body: Callable[[_Job], Body]
    available: int | None = None


def prepare(
    plan: Plan,
    size: PoolSize,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
    limits: PoolLimits = DEFAULT_LIMITS,
) -> Pool:
    """Make the identity items and the load items of a run; `progress(done, total)` is called after each.

    Identity items are not among the load items, but for a dataset, whose first lines are both. The bodies depend on
    the plan alone, not on the threads that make them (Pillow and PyAV release the GIL while they encode).
    Raises ConfigError (the workload or the user's own files) or FolderError (`folder` not writable or full).
    """
    source = _source(plan, workload_of(plan))
    available = size.total if source.available is None else source.available
    identity = plan.identity_items if source.available is None else min(plan.identity_items, available)
    load = min(size.total, available, limits.items)
    jobs = [_Job(Purpose.IDENTITY_ITEM, number) for number in range(identity)]
    jobs += [_Job(Purpose.LOAD_ITEM, number) for number in range(load)]
    with PoolWriter(folder) as writer, closing(_in_order(source.body, jobs)) as bodies:
        for done, (job, body) in enumerate(zip(jobs, bodies, strict=True), 1):
            is_load = job.purpose is Purpose.LOAD_ITEM
            if is_load and job.number > 0 and writer.body_bytes + len(body.data) > limits.body_bytes:
                break
            digested = not is_load or job.number < size.main
            item_id = _item_id(plan.workload_name, job)
            writer.add(item_id, body, digested=digested)
            if progress is not None:
                progress(done, len(jobs))
        return writer.seal(identity, size.total)


def check_payloads(plan: Plan) -> None:
    """Read the user's own requests, if the plan has them. Raises ConfigError for what can't be sent."""
    dataset = workload_of(plan).dataset
    if dataset is not None:
        read_given(Path(dataset))


def _source(plan: Plan, workload: Workload) -> _Source:
    model = plan.model or "default"
    if workload.dataset is None:

        def made(job: _Job) -> Body:
            ask = make(workload, job.purpose, job.number, plan.seed)
            return Body(ask.modality, encode(ask, workload, model, plan.extra_body), stream=workload.stream)

        return _Source(made)

    file = Path(workload.dataset)
    lines = read_given(file)

    def given(job: _Job) -> Body:
        line = lines[job.number]
        data = line.raw_body or encode(ask_of(line, file.parent), workload, model, plan.extra_body)
        stream = workload.stream if line.raw_body is None else line.asks_for_stream
        return Body(line.modality, data, line.expected, stream)

    return _Source(given, len(lines))


def _item_id(workload_name: str, job: _Job) -> str:
    if job.purpose is Purpose.IDENTITY_ITEM:
        return f"{workload_name}-identity-{job.number:02d}"
    return f"{workload_name}-{job.number:06d}"


def _in_order(make_body: Callable[[_Job], Body], jobs: Iterable[_Job]) -> Generator[Body, None, None]:
    """The bodies of `jobs`, in order; a few are made ahead, never more than memory should hold."""
    threads = min(os.cpu_count() or 1, _MAX_THREADS)
    executor = ThreadPoolExecutor(threads, thread_name_prefix="payloads")
    waiting: deque[Future[Body]] = deque()
    try:
        for job in jobs:
            waiting.append(executor.submit(make_body, job))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)
