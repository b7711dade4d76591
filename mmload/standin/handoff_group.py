"""The handoff without a server around it: `python -m mmload.standin.handoff_group SPEC`, one variant's tokenizer
process and its ranks, for `mmload handoff`.

    driver --Order--> this process --ZMQ--> rank 0 -- rank 1 ..      the stand-in's ranks, whose device takes no time
           <--Reading--            <--ZMQ--

Orders come as lines on standard input and words go out on standard output. A batch is over when every rank has read its
features: the answer that comes back is made from what each rank holds, and is checked. The end of standard input, a
SIGTERM or the end of the driver ends all.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.errors import MmloadError, ServerDied, ServerError
from mmload.handoff.counters import CounterTable
from mmload.handoff.registry import strategy_class
from mmload.handoff.strategy import BuildFailed, HandoffFailed, Strategy
from mmload.model.handoff import Ended, GroupSpec, Order, Reading, Up, Word
from mmload.standin.answer import SAMPLE_FLOATS, SAMPLE_SEED, compose, sample_digest
from mmload.standin.api import Refused
from mmload.standin.config import DeviceModel
from mmload.standin.host import TokenizerHost
from mmload.standin.in_flight import Answer
from mmload.standin.inputs import MultimodalDataItem, MultimodalInputs
from mmload.standin.launch import Ranks
from mmload.standin.manager import Manager
from mmload.standin.memory import keep_freed_memory
from mmload.standin.messages import GenerateRequest, Prepared, Segment
from mmload.standin.metrics import Metrics
from mmload.standin.pickles import pickle_object
from mmload.standin.rank_process import process_name
from mmload.tether import die_with_parent

_NO_TIME = DeviceModel(
    prefill_ms=0.0,
    prefill_ms_per_1000_tokens=0.0,
    decode_ms=0.0,
    decode_ms_per_request=0.0,
    max_running_requests=1_000_000,
    max_prefill_tokens=1_000_000,
    max_recv_per_poll=1,
    max_total_tokens=1_000_000,
)
_START_S = 60.0
_GRACE_S = 3.0
_QUIET_S = 50e-6  # a process that burns less than this in _LOOK_S is done with a batch
_LOOK_S = 1e-3
_LONGEST_LOOK_S = 0.5
_MARK_MODULUS = 1 << 24  # the integers that a float32 tells apart


class Group:
    """One variant's processes. Raises ServerError where they can't be started or do it wrongly, ServerDied where one
    of them ends."""

    def __init__(self, spec: GroupSpec, folder: Path) -> None:
        modelled_s = None if spec.build_ms is None else spec.build_ms / 1e3
        self._tp = spec.tp
        self._ranks = Ranks(
            [spec.variant] * spec.tp,
            folder,
            _NO_TIME,
            poll_on_idle=False,
            modelled_s=modelled_s,
            gloo=spec.collective == "gloo",
        )
        names = ["tokenizer", *map(process_name, range(spec.tp))]
        self._table = CounterTable.create(self._ranks.counters_path, names)
        self._ranks.start()
        self._counters = self._table.counters("tokenizer")
        self._strategy: Strategy = strategy_class(spec.variant)(TokenizerHost(self._counters, modelled_s))
        self._manager = Manager(
            self._ranks.requests_address, self._ranks.replies_address, spec.tp, Metrics("handoff", 1_000_000)
        )
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ranks.watch(self._lost)

    async def up(self) -> Up:
        """Once all ranks are."""
        try:
            async with asyncio.timeout(_START_S):
                await self._or_lost(self._manager.ready.wait())
        except TimeoutError:
            raise ServerError(f"the ranks were not up within {_START_S:g} s") from None
        announced = [self._manager.ranks[rank] for rank in range(self._tp)]
        return Up(variant=self._strategy.name, pids=[each.pid for each in announced])

    async def hand_over(self, features: Sequence[NDArray[np.float32]], mark: int) -> Reading:
        """One batch, a request for each of `features`; they are marked mark, mark + 1 .."""
        for number, feature in enumerate(features):
            _mark(feature, mark + number)
        before, tokenizer_s, ranks_s = self._counted(), time.process_time(), self._ranks_cpu_s()
        start_s = time.perf_counter()
        self._manager.receive_together(len(features))
        answers = []
        for number, feature in enumerate(features):
            answers.append(self._send(f"{mark + number}", feature))
            await asyncio.sleep(0)  # a stop, or the end of a rank, is heard between two requests
        for answer in answers:
            try:
                await self._or_lost(answer.complete())
            except Refused as refused:
                raise ServerError(f"{self._strategy.name} hands nothing over: {refused}") from refused
        wall_s = time.perf_counter() - start_s
        await self._settle()
        tokenizer_s, ranks_s = time.process_time() - tokenizer_s, self._ranks_cpu_s() - ranks_s
        counted = {column: after - before[column] for column, after in self._counted().items()}
        self._check(answers, features)
        return Reading(wall_s=wall_s, tokenizer_cpu_s=tokenizer_s, ranks_cpu_s=ranks_s, counters=counted)

    def close(self, *, at_once: bool) -> None:
        """End the ranks and whatever the variant left. at_once: whatever they are at."""
        self._ranks.unwatch()
        if at_once:
            self._ranks.kill()
        self._manager.close()
        self._ranks.stop(_GRACE_S)
        self._strategy.close()

    def _send(self, rid: str, feature: NDArray[np.float32]) -> Answer:
        """As the stand-in's processor and manager do, on one thread."""
        self._counters.add("requests")
        try:
            handoff = self._strategy.at_tokenizer({"mm_items": [_item(feature)]})
        except (BuildFailed, HandoffFailed) as failed:
            raise ServerError(f"{self._strategy.name} hands nothing over: {failed}") from failed
        request = GenerateRequest(rid, b"", [Segment(1, key=None)], 1, 1, handoff)
        payload = pickle_object(request, self._counters)
        return self._manager.submit(Prepared(rid, 1, 1, payload, handoff), time.monotonic())

    def _check(self, answers: Sequence[Answer], features: Sequence[NDArray[np.float32]]) -> None:
        """Raises ServerError where a rank holds other features than were sent: fast and wrong is no figure."""
        for answer, feature in zip(answers, features, strict=True):
            digest = sample_digest(MultimodalInputs([MultimodalDataItem(**_item(feature))]))
            if answer.token_ids != compose(b"", [digest], 1):
                raise ServerError(f"{self._strategy.name}: a rank holds other features than were sent")

    def _counted(self) -> dict[str, float]:
        rows = self._table.read().values()
        return {column: sum(row[column] for row in rows) for column in next(iter(rows))}

    def _ranks_cpu_s(self) -> float:
        return sum(_cpu_s(announced.pid) for announced in self._manager.ranks.values())

    async def _settle(self) -> None:
        """Until no rank works any more: what it frees after its answer is part of what the batch cost."""
        deadline_s = time.monotonic() + _LONGEST_LOOK_S
        burnt_s = -1.0
        while (now_s := self._ranks_cpu_s()) - burnt_s > _QUIET_S and time.monotonic() < deadline_s:
            burnt_s = now_s
            await asyncio.sleep(_LOOK_S)

    async def _or_lost(self, awaited: Any) -> None:
        """Await it; raises ServerDied where a rank ends first."""
        task = asyncio.ensure_future(awaited)
        await asyncio.wait({task, self._ended}, return_when=asyncio.FIRST_COMPLETED)
        if self._ended.done():
            task.cancel()
            self._ended.result()
        await task

    def _lost(self, sentence: str) -> None:
        self._manager.fail(sentence)
        if not self._ended.done():
            self._ended.set_exception(ServerDied(sentence))

    async def watch(self) -> None:
        """Raises ServerDied as soon as a rank has ended."""
        await asyncio.shield(self._ended)


async def serve(spec: GroupSpec, folder: Path) -> None:
    """Words for orders, until there are no more. Raises as Group does."""
    reader = await _orders()
    group, done = Group(spec, folder), False
    try:
        _say(await group.up())
        lost = asyncio.ensure_future(group.watch())
        while True:
            line = asyncio.ensure_future(reader.readline())
            await asyncio.wait({line, lost}, return_when=asyncio.FIRST_COMPLETED)
            if lost.done():
                lost.result()
            if not (text := line.result()):
                done = True
                return
            await _obey(group, msgspec.json.decode(text, type=Order))
    finally:
        group.close(at_once=not done)


async def _obey(group: Group, order: Order) -> None:
    floats = max(1, order.size_bytes // 4)
    features = [np.zeros((1, floats), np.float32) for _ in range(order.batch)]
    for feature in features:
        feature.fill(1.0)  # in memory before the clock runs, as what a processor has just made
    for repeat in range(order.repeats):
        _say(await group.hand_over(features, order.mark + repeat * order.batch))


def _item(feature: NDArray[np.float32]) -> dict[str, Any]:
    return {"modality": "IMAGE", "feature": feature, "grid": None}


def _mark(feature: NDArray[np.float32], mark: int) -> None:
    """Make the features of a request its own, where a modelled build and the answer's sample look."""
    flat = feature.reshape(-1)
    stride = max(1, flat.size // SAMPLE_FLOATS)
    flat[0] = flat[SAMPLE_SEED % stride :: stride] = mark % _MARK_MODULUS


def _cpu_s(pid: int) -> float:
    """CPU seconds of another process, all threads, to the nanosecond (Linux: its clock, as clock_getcpuclockid(3)
    names it). Raises ServerDied when it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError as error:
        raise ServerDied(f"the rank with pid {pid} ended") from error


async def _orders() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    return reader


def _say(word: Word) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(word) + b"\n")
    sys.stdout.buffer.flush()


async def _until_stopped(spec: GroupSpec) -> None:
    """Raises CancelledError on SIGTERM, when all is cleaned up."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with tempfile.TemporaryDirectory(prefix="mmload-handoff-") as folder:
        await serve(spec, Path(folder))


def main() -> int:
    spec = msgspec.json.decode(sys.argv[1], type=GroupSpec)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to take
    if sys.platform.startswith("linux"):
        die_with_parent(spec.parent_pid, signal.SIGTERM)
    keep_freed_memory()
    try:
        asyncio.run(_until_stopped(spec))
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    except MmloadError as error:
        _say(Ended(message=str(error), hint=error.hint))
        return error.exit_code
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main())
