"""`mmload handoff`, from a plan to observations: variants' processes are started, given their orders and ended.

The processes live in sessions of their own and die with this one; what a killed one leaves in /dev/shm is removed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import IO, TypeVar

import msgspec

from mmload.errors import ServerDied, ServerError, ServerHung
from mmload.handoff.segments import sweep
from mmload.model.handoff import Cell, Ended, GroupSpec, Observation, Reading, Up, Word
from mmload.plan.handoff import HandoffPlan, Part, order_of, turns
from mmload.session.interrupt import Interruption, interruption

_LOOK_S = 0.05
_START_S = 90.0
_PATIENCE_S = 60.0  # for a batch, beyond what its modelled builds take on one rank after another
_GRACE_S = 5.0
_Kind = TypeVar("_Kind", bound=msgspec.Struct)

OnObservation = Callable[[Observation], None]


def measure(plan: HandoffPlan, on_observation: OnObservation) -> None:
    """Do all of a plan, handing over what was seen as soon as it was.

    Raises ServerError (a variant can't be started or does it wrongly), ServerDied (a rank ended), ServerHung and
    Interrupted; nothing is left running then."""
    with interruption() as caught:
        try:
            asyncio.run(_until_interrupted(_measure(plan, on_observation), caught))
        finally:
            sweep()
        caught.check()


async def _until_interrupted(doing: Coroutine[None, None, None], caught: Interruption) -> None:
    task, asked = asyncio.ensure_future(doing), False
    while not task.done():
        await asyncio.wait({task}, timeout=_LOOK_S)
        if caught.signal is not None and not asked:
            asked = task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _measure(plan: HandoffPlan, on_observation: OnObservation) -> None:
    for part in plan.parts:
        for number in range(part.rounds):
            for together in turns(part, number):
                await _turn(part, number, together, on_observation)


async def _turn(part: Part, number: int, variants: Sequence[str], on_observation: OnObservation) -> None:
    """Start these variants, let them hand over every cell, and end them. Of several at once each starts a little
    later than the one before, so that they don't work at the same moments."""
    groups, done = [_Group(variant, part) for variant in variants], False
    stagger_s = (part.build_ms or 0) / 1e3 / len(groups)
    try:
        for group in groups:
            await group.start()
        for cell in part.cells:
            tasks = [
                asyncio.ensure_future(group.hand_over(cell, after_s=place * stagger_s))
                for place, group in enumerate(groups)
            ]
            try:
                every = await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
            for variant, readings in zip(variants, every, strict=True):
                on_observation(Observation(variant=variant, cell=cell, round=number, readings=readings))
        done = True
    finally:
        await asyncio.gather(*(group.end(at_once=not done) for group in groups))


class _Group:
    """The driver's end of one variant's processes (mmload.standin.handoff_group)."""

    def __init__(self, variant: str, part: Part) -> None:
        self._variant = variant
        self._spec = GroupSpec(
            variant=variant,
            tp=part.tp,
            build_ms=part.build_ms,
            parent_pid=os.getpid(),
            collective=part.collective,
        )
        self._process: asyncio.subprocess.Process | None = None
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        self._mark = 1

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mmload.standin.handoff_group",
            msgspec.json.encode(self._spec).decode(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        await self._word(Up, _START_S)

    async def hand_over(self, cell: Cell, after_s: float) -> list[Reading]:
        await asyncio.sleep(after_s)
        assert self._process is not None
        assert self._process.stdin is not None
        order = order_of(cell)
        order = msgspec.structs.replace(order, mark=self._mark)
        self._mark += order.repeats * order.batch
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        patience_s = _PATIENCE_S + 2 * cell.batch * (cell.build_ms or 0) / 1e3
        return [await self._word(Reading, patience_s) for _ in range(order.repeats)]

    async def end(self, *, at_once: bool) -> None:
        """By the end of its orders, or at once by SIGTERM, else by SIGKILL."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            for number in (signal.SIGTERM, signal.SIGKILL) if at_once else (None, signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError, TimeoutError):
                    if number is not None:
                        process.send_signal(number)
                    await asyncio.wait_for(process.wait(), _GRACE_S)
                    break
        self._log.close()

    async def _word(self, kind: type[_Kind], patience_s: float) -> _Kind:
        assert self._process is not None
        assert self._process.stdout is not None
        start_s = time.monotonic()
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), patience_s)
        except TimeoutError:
            waited_s = time.monotonic() - start_s
            raise ServerHung(f"{self._variant} at TP {self._spec.tp} has said nothing for {waited_s:.0f} s") from None
        if not line:
            raise ServerDied(f"{self._variant}: its tokenizer process ended{self._last_words()}")
        word = msgspec.json.decode(line, type=Word)
        if isinstance(word, Ended):
            raise ServerError(f"{self._variant}: {word.message}{self._last_words()}", word.hint)
        assert isinstance(word, kind)
        return word

    def _last_words(self) -> str:
        """The end of what its processes wrote, if anything."""
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""
