"""What is alive during a run, and the one loop turn in which all of it is heard, watched and shown."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import msgspec

from mmload.drive.fleet import Fleet
from mmload.drive.job import Segment, Stop
from mmload.errors import Interrupted, RunInvalid
from mmload.model.live import LiveView
from mmload.model.plan import Plan
from mmload.model.records import RequestRecord
from mmload.observe.agent_link import clock_warnings
from mmload.observe.cpu import ProcessSampler
from mmload.observe.metrics import MetricsScraper
from mmload.observe.observer import Observer, Sampler
from mmload.serve.target import Target
from mmload.session.interrupt import Interruption
from mmload.session.ledger import Ledger
from mmload.session.stall import Stalls
from mmload.session.tracker import Tracker
from mmload.session.watch import Watch
from mmload.store.layout import RunLayout

_TURN_S = 0.1
_STOP_TIMEOUT_S = 5.0
_JOIN_TIMEOUT_S = 600.0

Show = Callable[[LiveView], None]


class Crew:
    """The server, the samplers and the workers of one run. `left_until_ns`: when the run is expected to end."""

    def __init__(self, layout: RunLayout, ledger: Ledger, show: Show, interrupted: Interruption) -> None:
        self.layout = layout
        self.ledger = ledger
        self.tracker = Tracker(layout.requests)
        self.left_until_ns: int | None = None
        self.target: Target | None = None
        self.fleet: Fleet | None = None
        self.sampler: Sampler | None = None
        self._own_sampler: ProcessSampler | None = None
        self.scraper: MetricsScraper | None = None
        self._watch: Watch | None = None
        self.show = show
        self._interrupted = interrupted
        self._looked_s = 0.0

    def observe(self, target: Target, observer: Observer, plan: Plan, stack: ExitStack) -> None:
        """Start the samplers on what was found behind the target. What generates the load is on this host, wherever the
        server is."""
        self.sampler = observer.sampler(target.processes, self.layout)
        here = self.sampler if isinstance(self.sampler, ProcessSampler) else None
        self._own_sampler = here or ProcessSampler((), self.layout.processes, self.layout.host)
        self.scraper = MetricsScraper(target.url, self.layout.server, access=plan.access)
        self.ledger.note(agent=observer.agent())
        stack.callback(self._note_agent, observer)
        for one in self._samplers:
            one.start()
            stack.callback(one.stop)
        stalls = Stalls(observer, target.processes, self.layout, self.ledger)
        stack.callback(stalls.close)
        self._watch = Watch(target, observer, stalls)

    @property
    def _samplers(self) -> list[Sampler | MetricsScraper]:
        own = None if self._own_sampler is self.sampler else self._own_sampler
        return [one for one in (self.sampler, own, self.scraper) if one is not None]

    def _note_agent(self, observer: Observer) -> None:
        """How well an agent's clock is known in the end, and what that means for the figures."""
        agent = observer.agent()
        if agent is not None:
            self.ledger.note(agent=agent)
            self.ledger.warn(*clock_warnings(agent))

    def hire(self, fleet: Fleet, stack: ExitStack) -> None:
        """Wait until every worker is there and has opened what is prepared for it."""
        self.fleet = fleet
        stack.callback(fleet.close)
        deadline = time.monotonic() + _JOIN_TIMEOUT_S
        while not fleet.is_ready:
            self.turn()
            if time.monotonic() > deadline:
                raise RunInvalid(
                    f"not every worker was ready within {_JOIN_TIMEOUT_S / 60:g} min", "see logs/ for what they say"
                )
        if self._own_sampler is not None:
            self._own_sampler.add_generators(fleet.pids)

    def turn(self) -> list[RequestRecord]:
        """Hear the workers for a tenth of a second; returns the records that came. Raises what ends the run."""
        if self.fleet is None:
            time.sleep(_TURN_S)
        else:
            self.fleet.poll(_TURN_S)
        return self._look_around()

    def glance(self) -> None:
        """The same without waiting, for work that calls back often: looks around ten times a second at most."""
        if time.monotonic() - self._looked_s > _TURN_S:
            self._look_around()

    def _look_around(self) -> list[RequestRecord]:
        self._looked_s = time.monotonic()
        self._interrupted.check()
        if self.scraper is not None:
            self.ledger.warn(*self.scraper.warnings)
        for one in self._samplers:
            if one.failed is not None:
                raise one.failed
        records = self.tracker.take_in()
        self._show_turn()
        self._look_at_server()
        self._look_at_workers()
        return records

    def run_segment(self, command: Segment, each_turn: Callable[[list[RequestRecord]], None]) -> None:
        """Give the command to every worker and wait until all requests of the segment have their records;
        `each_turn` gets the new ones. When something ends the run, the workers stop at once and what they then say
        is still taken in."""
        assert self.fleet is not None
        self.fleet.command(command)
        try:
            while not self.fleet.is_drained(command.segment):
                each_turn(self.turn())
            each_turn(self.turn())
        except BaseException as error:
            self._stop_sending(command, str(error))
            raise

    def _stop_sending(self, command: Segment, reason: str) -> None:
        assert self.fleet is not None
        self.fleet.command(Stop(reason))
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while not self.fleet.is_drained(command.segment) and time.monotonic() < deadline:
            self.fleet.poll(_TURN_S)

    def _look_at_server(self) -> None:
        if self._watch is None or self.fleet is None:
            if self.target is not None:
                self.target.refuse_dead()
            return
        under_load = self.tracker.stage in ("measure", "profile")
        self._watch.look(self.fleet.samples.values(), under_load=under_load)

    def _look_at_workers(self) -> None:
        if self.fleet is None:
            return
        self.ledger.warn(*self.fleet.warnings)
        if self.fleet.lost:
            raise RunInvalid(self.fleet.lost[0], "the load was not what was planned: the run says nothing")
        if self.fleet.stop_asked is not None:
            raise Interrupted(signal.SIGINT, self.fleet.stop_asked)

    def _show_turn(self) -> None:
        samples = self.fleet.samples if self.fleet else {}
        cpu_pct: dict[str, float] = {}
        for sampler in filter(None, (self.sampler, self._own_sampler)):
            cpu_pct |= sampler.latest_cpu_pct()
        left_s = None if self.left_until_ns is None else max(0.0, (self.left_until_ns - time.monotonic_ns()) / 1e9)
        view = self.tracker.view(samples, cpu_pct, left_s, self.ledger.manifest.warnings)
        stands_still = [self._watch.notice] if self._watch and self._watch.notice else []
        self.show(msgspec.structs.replace(view, notices=[*stands_still, *_notices(self.fleet)]))


def _notices(fleet: Fleet | None) -> Iterator[str]:
    if fleet is None or fleet.listening is None:
        return
    if fleet.listening.web_url:
        yield f"Locust's web page: {fleet.listening.web_url}"
    if waits_for := fleet.waits_for_elsewhere:
        address = f"{fleet.listening.host}:{fleet.listening.port}"
        if fleet.listening.host == "*":
            address = f"{socket.gethostname()}:{fleet.listening.port}"
        yield f"waiting for {waits_for} worker{'s' * (waits_for > 1)}: mmload worker --master {address}"
