"""Catches a stall in the act: notices that the server stands still, has all its processes dumped, and says who waits
for whom. The run goes on meanwhile: what takes time is done in a thread, and each turn collects what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import msgspec

from mmload.discover import ServerProcess
from mmload.errors import MmloadError
from mmload.model.manifest import Stall
from mmload.model.records import GeneratorSample
from mmload.observe.observer import KernelWord, Observer
from mmload.session.dumping import dump_and_say
from mmload.session.held import LOOK_NS, Held
from mmload.session.ledger import Ledger
from mmload.session.quiet import Quiet
from mmload.store.layout import RunLayout

_MOST_STALLS = 20
_MOST_DUMPS = 5
_BETWEEN_DUMPS_NS = 20_000_000_000

Result = TypeVar("Result")


class Stalls:
    """The stalls of one run; each is in the manifest from its first moment on. notice: for the display while one
    lasts, else None."""

    def __init__(
        self,
        observer: Observer,
        processes: list[ServerProcess],
        layout: RunLayout,
        ledger: Ledger,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.notice: str | None = None
        self._clock_ns = clock_ns
        self._observer = observer
        self._processes = processes
        self._layout = layout
        self._ledger = ledger
        self._quiet = Quiet()
        self._held = Held()
        self._held_ns = 0
        self._look_due_ns = 0
        self._dump_due_ns = 0
        self._dumps = 0
        self._thread = ThreadPoolExecutor(1, "stall")
        self._looking: Future[Mapping[str, KernelWord]] | None = None
        self._dumping: Future[tuple[str, list[str]]] | None = None
        self._dumped = 0  # the index of the stall that is being dumped
        self._told = 0  # how many have had their warning

    def look(self, samples: Collection[GeneratorSample], *, under_load: bool) -> None:
        """One turn. samples: the last word of every worker. under_load: requests keep coming, so that quiet says
        something. Raises FolderError when the manifest can't be written."""
        self._quiet.hear(samples)
        self._look_at_processes()
        self._take_in_dump()
        if self._lasts:
            self._end_if_over()
        elif len(self._stalls) < _MOST_STALLS:
            if self._held.words:
                self._begin(", ".join(self._held.words))
            elif under_load and self._quiet.is_too_long:
                self._begin(self._quiet_words())
        if self._lasts and not self._stalls[-1].dumps and self._clock_ns() >= self._dump_due_ns:
            self._start_dump()
        self._tell_of_ended()

    def dump_now(self) -> str:
        """Who waits for whom by now, for one who gives the server up; empty where its processes are out of sight."""
        if not self._lasts:
            self._begin(self._quiet_words())
        self._take_in_dump(wait=True)
        self._start_dump(at_last=True)
        self._take_in_dump(wait=True)
        return self._stalls[-1].sentence

    def close(self) -> None:
        """Wait for the dump that is being taken, if one is, and tell of every stall."""
        self._take_in_dump(wait=True)
        self._thread.shutdown()
        self._tell_of_ended()
        if self._lasts:
            self._tell(self._stalls[-1])

    @property
    def _stalls(self) -> list[Stall]:
        return self._ledger.manifest.stalls

    @property
    def _lasts(self) -> bool:
        return bool(self._stalls) and self._stalls[-1].end_ns is None

    def _look_at_processes(self) -> None:
        if self._looking is None:
            if self._clock_ns() >= self._look_due_ns and self._processes:
                self._look_due_ns = self._clock_ns() + LOOK_NS
                self._looking = self._thread.submit(self._states)
        elif self._looking.done():
            looked, self._looking = self._looking, None
            self._held.look(self._result(looked) or {})
            if self._held.words:
                self._held_ns = self._clock_ns()

    def _states(self) -> Mapping[str, KernelWord]:
        return self._observer.states(self._processes)

    def _quiet_words(self) -> str:
        return f"not a byte of any answer for {self._quiet.lasts_s:.1f} s, {self._quiet.in_flight} requests in flight"

    def _begin(self, seen: str) -> None:
        start_ns = self._quiet.since_ns if self._quiet.lasts_s else self._clock_ns()
        self._ledger.note(stalls=[*self._stalls, Stall(start_ns=start_ns, seen=seen)])
        if len(self._stalls) == _MOST_STALLS:
            self._ledger.warn(f"{_MOST_STALLS} stalls: no more are looked for")
        self.notice = f"the server stands still: {seen}"

    def _end_if_over(self) -> None:
        """Nobody is held, and something was heard since."""
        if not self._held.words and self._quiet.heard_ns > max(self._held_ns, self._stalls[-1].start_ns):
            self._change(len(self._stalls) - 1, end_ns=self._quiet.heard_ns)
            self.notice = None

    def _tell_of_ended(self) -> None:
        """A warning of each stall that has its end, and its dump."""
        for index in range(self._told, len(self._stalls)):
            stall = self._stalls[index]
            if stall.end_ns is None or (self._dumping is not None and self._dumped == index):
                return
            self._tell(stall)
            self._told += 1

    def _tell(self, stall: Stall) -> None:
        lasted = "to the end" if stall.end_ns is None else f"for {(stall.end_ns - stall.start_ns) / 1e9:.1f} s"
        phase = next((p for p in self._ledger.manifest.phases if p.start_ns <= stall.start_ns < p.end_ns), None)
        since = f", {(stall.start_ns - phase.start_ns) / 1e9:.1f} s into {phase.name}" if phase else ""
        stacks = f" (stacks in {stall.dumps})" if stall.dumps else ""
        self._ledger.warn(f"the server stood still {lasted}{since}: {stall.sentence or stall.seen}{stacks}")

    def _change(self, index: int, **facts: object) -> None:
        stalls = list(self._stalls)
        stalls[index] = msgspec.structs.replace(stalls[index], **facts)
        self._ledger.note(stalls=stalls)

    def _start_dump(self, *, at_last: bool = False) -> None:
        if self._dumping is None and self._processes and (self._dumps < _MOST_DUMPS or at_last):
            self._dumps += 1
            self._dump_due_ns = self._clock_ns() + _BETWEEN_DUMPS_NS
            self._dumped = len(self._stalls) - 1
            folder, engine = self._layout.dumps / str(self._dumps), self._ledger.manifest.engine
            self._dumping = self._thread.submit(dump_and_say, self._observer, self._processes, folder, engine)

    def _take_in_dump(self, *, wait: bool = False) -> None:
        if self._dumping is None or not (wait or self._dumping.done()):
            return
        dumping, self._dumping = self._dumping, None
        sentence, problems = self._result(dumping) or ("", [])
        self._ledger.warn(*problems)
        self._change(self._dumped, sentence=sentence, dumps=f"{self._layout.dumps.name}/{self._dumps}")
        if self._lasts and self._dumped == len(self._stalls) - 1 and sentence:
            self.notice = f"the server stands still: {sentence}"

    def _result(self, future: Future[Result]) -> Result | None:
        """What came of it; None, and a warning, where it failed: the run is about more than its stalls."""
        try:
            return future.result()
        except MmloadError as error:
            self._ledger.warn(f"the server's stalls can't be looked into: {error}")
            return None
