"""A worker's requests: its share of the schedules, joined with the bodies in the pool."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import chain, count
from pathlib import Path

from mmload.drive.exchange import Due
from mmload.drive.job import Job
from mmload.model.records import RequestPhase
from mmload.plan.arrivals import PHASES, Schedule, closed_loop_items
from mmload.plan.pool import PoolReader


class Requests:
    """Everything that one worker will send. Ids are unique in the run: its tag, the segment, the request's number."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._pool = PoolReader(Path(job.pool))
        self._schedules = {segment: Schedule.load(Path(path)) for segment, path in job.schedules.items()}
        items = closed_loop_items(job.plan, job.worker, job.workers)
        self._closed_items = chain([next(items)], items)  # the first draw costs milliseconds: not inside a request
        self._closed_numbers = count()

    def schedule(self, segment: str) -> ScheduleShare:
        return ScheduleShare(self, self._schedules[segment], segment, self._job)

    def identity(self) -> Iterator[Due]:
        """The identity items, each due when it is asked for."""
        for number, slot in enumerate(self._pool.identity_slots):
            yield self.due(f"i{number}", "identity", time.monotonic_ns(), slot)

    def closed(self, segment: str) -> Callable[[RequestPhase, int], Due]:
        """next_due(phase, due_ns): this worker's next item, going on from segment to segment."""

        def next_due(phase: RequestPhase, due_ns: int) -> Due:
            number = next(self._closed_numbers)
            return self.due(
                f"{segment[0]}{self._job.worker}.{number}", phase, due_ns, self._pool.slot(next(self._closed_items))
            )

        return next_due

    def due(self, number: str, phase: RequestPhase, due_ns: int, slot: int) -> Due:
        pool = self._pool
        return Due(
            id=f"{self._job.run_tag}-{number}",
            phase=phase,
            due_ns=due_ns,
            item=pool.item_id(slot),
            modality=pool.modality(slot),
            body=pool.body(slot),
            expected=pool.expected(slot),
            stream=pool.is_streamed(slot),
        )

    def slot(self, item: int) -> int:
        """Where the pool keeps a schedule's item."""
        return self._pool.slot(item)


class ScheduleShare:
    """A worker's part of one segment's schedule: every `workers`-th request."""

    def __init__(self, requests: Requests, schedule: Schedule, segment: str, job: Job) -> None:
        self._requests = requests
        self._share = schedule.share(job.worker, job.workers)
        self._segment = segment
        self._job = job

    def __len__(self) -> int:
        return len(self._share)

    def due(self, number: int, start_ns: int) -> Due:
        share, job = self._share, self._job
        return self._requests.due(
            f"{self._segment[0]}{number * job.workers + job.worker}",
            PHASES[share.phase[number]],
            start_ns + int(share.due_offset_ns[number]),
            self._requests.slot(int(share.item[number])),
        )
