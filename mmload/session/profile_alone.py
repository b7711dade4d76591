"""A profile without load: find the processes, sample and profile them for a while, seal."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from mmload.discover import ServerProcess, verify_same
from mmload.errors import NotPermitted, ServerDied, ServerError
from mmload.model.live import LiveView
from mmload.model.manifest import ProfileInfo
from mmload.model.plan import Plan
from mmload.observe.local import LocalObserver
from mmload.observe.metrics import MetricsScraper
from mmload.observe.observer import Observer, Sampler, StackProfiler
from mmload.observe.pyspy import ptrace_hint
from mmload.observe.stacks import worth_profiling
from mmload.serve.client import ServerClient, ServerInfo
from mmload.serve.target import is_this_host
from mmload.session.interrupt import Interruption, interruption
from mmload.session.ledger import Ledger
from mmload.session.looking import cost_noted
from mmload.session.observers import reach_agent
from mmload.session.ranks import rank_infos
from mmload.store.append import create_run_folder, write_document
from mmload.store.layout import RunLayout, new_run_id
from mmload.store.lock import writing
from mmload.store.read import Run

_TURN_S = 0.1
_LOOK_NS = 1_000_000_000
_ATTACH_NS = 25_000_000_000  # py-spy gives up before
_ANSWER_TIMEOUT_S = 5.0

Show = Callable[[LiveView], None]


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at. processes: all that are sampled. info: what the server says of itself; None where none was
    named, or it does not answer (trouble says why): one that hangs can be profiled all the same."""

    observer: Observer
    processes: list[ServerProcess]
    info: ServerInfo | None = None
    trouble: str | None = None

    @property
    def variant(self) -> str:
        announcement = self.info.announcement if self.info else None
        return announcement.variant if announcement else "stock"


def profile_alone(plan: Plan, out: Path, show: Show, sealed: Callable[[Run], None]) -> Run:
    """Profile the processes that `plan` names, without a load, in a new folder below `out`.

    The run is INVALID where the profile of a process is poor or absent. Whatever ends it early, what was taken is
    sealed first and handed to `sealed`, which is called exactly once if a folder was made. Raises ServerError where
    there is no process, none is left or the server changed, NotPermitted, FolderError or Interrupted.
    """
    with interruption() as interrupted:
        subject = find_subject(plan)
        layout = create_run_folder(out, new_run_id(subject.variant))
        write_document(layout.plan, plan)
        with writing(layout.plan):
            ledger = Ledger(layout, plan, subject.variant)
            try:
                _note_subject(ledger, subject)
                faults = _Look(plan, subject, layout, ledger, show, interrupted).take()
            except BaseException as failure:
                sealed(ledger.seal(failure, []))
                raise
            stored = ledger.seal(None, faults)
            sealed(stored)
            return stored


def find_subject(plan: Plan) -> Subject:
    """Raises ServerError when there is nothing to profile, or the plan's agent can't be used."""
    client = ServerClient(plan.url, plan.access) if plan.url else None
    observer = reach_agent(plan) or _local_observer(plan, client)
    processes = observer.find()
    if not processes:
        raise ServerError(f"no process of {plan.url} was found", "name them with --pid")
    if client is None:
        return Subject(observer=observer, processes=processes)
    try:
        client.is_healthy(_ANSWER_TIMEOUT_S)  # SGLang answers /server_info only after a request of another kind
        return Subject(observer=observer, processes=processes, info=client.info(_ANSWER_TIMEOUT_S))
    except ServerError as error:
        return Subject(observer=observer, processes=processes, trouble=f"{error}; profiled as it is")


def _local_observer(plan: Plan, client: ServerClient | None) -> LocalObserver:
    if client is None or plan.pids:
        return LocalObserver(pids=plan.pids)
    if not is_this_host(client.host):
        hint = "run mmload agent on that host, and name it with --agent"
        raise ServerError(f"{client.url} is on another host: its processes can't be seen from here", hint)
    return LocalObserver(port=client.port)


def _note_subject(ledger: Ledger, subject: Subject) -> None:
    info = subject.info
    ledger.note(ranks=rank_infos(subject.processes, info), agent=subject.observer.agent())
    if info is not None:
        ledger.note_server(info)
    if subject.trouble:
        ledger.warn(subject.trouble)
    states = subject.observer.states(subject.processes)
    stopped = [
        f"{name} is stopped: it burns nothing until it is let go" for name in states if states[name].state in "Tt"
    ]
    ledger.warn(*stopped)


class _Look:
    """One profile while it goes."""

    def __init__(
        self, plan: Plan, subject: Subject, layout: RunLayout, ledger: Ledger, show: Show, interrupted: Interruption
    ) -> None:
        self._plan = plan
        self._subject = subject
        self._ledger = ledger
        self._show = show
        self._interrupted = interrupted
        self._next_look_ns = 0
        self._sampler: Sampler = subject.observer.sampler(subject.processes, layout)
        self._scraper = MetricsScraper(plan.url, layout.server, access=plan.access) if plan.url else None
        self._observers: list[Sampler | MetricsScraper] = [self._sampler, *([self._scraper] if self._scraper else [])]
        named = subject.processes if plan.pids else worth_profiling(subject.processes)
        self._profiler: StackProfiler = subject.observer.profiler(named, layout, plan.profile)

    def take(self) -> list[str]:
        """Returns what is poor about the profile, a sentence for each process."""
        with ExitStack() as stack:
            for observer in self._observers:
                observer.start()
                stack.callback(observer.stop)
            stack.enter_context(cost_noted(self._ledger, self._sampler, self._scraper))
            return self._judge(self._profile())

    def _profile(self) -> ProfileInfo:
        """Profile from when the profilers sample, for as long as the plan says."""
        start_ns: int | None = None
        self._profiler.start()
        try:
            start_ns = self._wait_for_profilers()
            if start_ns is not None:
                end_ns = start_ns + round(self._plan.profile.duration_s * 1e9)
                self._ledger.phase("profile", start_ns, end_ns)
                while time.monotonic_ns() < end_ns and not self._all_ended():
                    self._turn("profile", start_ns, self._plan.profile.duration_s)
                    time.sleep(_TURN_S)
        finally:
            end_ns = time.monotonic_ns()
            info = self._profiler.stop()
            self._ledger.note(profile=info)
            if start_ns is not None:
                self._ledger.phase("profile", start_ns, end_ns)
        return info

    def _wait_for_profilers(self) -> int | None:
        """When they sample; None when none does."""
        began_ns = time.monotonic_ns()
        while not self._profiler.wait_until_sampling(_TURN_S):
            if self._profiler.settled or self._all_ended() or time.monotonic_ns() > began_ns + _ATTACH_NS:
                return None
            self._turn("attaching", began_ns, None)
        return time.monotonic_ns()

    def _turn(self, stage: str, start_ns: int, length_s: float | None) -> None:
        self._interrupted.check()
        for observer in self._observers:
            if observer.failed is not None:
                raise observer.failed
        now_ns = time.monotonic_ns()
        if now_ns >= self._next_look_ns:
            self._next_look_ns = now_ns + _LOOK_NS
            self._look_at_processes()
        elapsed_s = (now_ns - start_ns) / 1e9
        self._show(
            LiveView(
                stage=stage,
                stage_elapsed_s=elapsed_s,
                stage_length_s=length_s,
                left_s=None if length_s is None else max(0.0, length_s - elapsed_s),
                cpu_pct=self._sampler.latest_cpu_pct(),
                warnings=self._ledger.manifest.warnings,
            )
        )

    def _look_at_processes(self) -> None:
        """A server that lost or restarted a rank is not the one that was found; of named pids some may end."""
        if self._scraper is not None:
            self._ledger.warn(*self._scraper.warnings)
        if self._plan.pids:
            self._ledger.warn(*(f"{lost.name} (pid {lost.pid}) ended" for lost in self._sampler.lost()))
            return
        differences = verify_same(self._subject.processes, self._subject.observer.find())
        if differences:
            raise ServerDied("; ".join(differences))

    def _all_ended(self) -> bool:
        return len(self._sampler.lost()) == len(self._subject.processes)

    def _judge(self, info: ProfileInfo) -> list[str]:
        if self._all_ended():
            raise ServerDied("every process that was to be profiled has ended")
        self._look_at_processes()
        if info.mode == "none":
            raise NotPermitted("the kernel does not let py-spy read the processes", ptrace_hint())
        return [f"poor profile of {file.process}: {file.error}" for file in info.files if file.error]
