"""The manifest as it grows, and the folder's last word: status, validity, summary."""

from __future__ import annotations

import contextlib
import platform
import subprocess
import time
from importlib.metadata import version
from typing import Literal

import msgspec

from mmload import __version__
from mmload.analyse.summary import judge_generator, summarise
from mmload.errors import ServerError
from mmload.model.manifest import Clock, Manifest, Membership, Phase, Status
from mmload.model.plan import NoLoad, Plan
from mmload.observe.host import host_facts
from mmload.serve.client import ServerInfo
from mmload.store.append import Reserve, write_document
from mmload.store.layout import RunLayout
from mmload.store.read import Run

_PACKAGES = ("aiohttp", "locust", "gevent", "geventhttpclient", "numpy", "msgspec", "psutil", "py-spy")


class Ledger:
    """Writes manifest.json anew with each fact that becomes known."""

    def __init__(self, layout: RunLayout, plan: Plan, variant: str, member: Membership | None = None) -> None:
        self._layout = layout
        self._reserve = Reserve(layout)
        self.manifest = Manifest(
            kind="profile" if isinstance(plan.load, NoLoad) else "run",
            run_id=layout.run_id,
            member=member,
            variant=variant,
            workload=plan.workload_name,
            seed=plan.seed,
            schedule_sha256=None,
            payloads_sha256="",
            engine=plan.engine or "unknown",
            tp=plan.tp if plan.engine else None,
            model=plan.model,
            clock=Clock(monotonic_ns=time.monotonic_ns(), utc_ns=time.time_ns()),
            host=host_facts(),
            versions={"mmload": __version__, "python": platform.python_version()}
            | {package: version(package) for package in _PACKAGES},
            git=_git_commit(),
        )

    def note(self, **facts: object) -> None:
        """Put facts into the manifest, by field name, and write it. Raises FolderError."""
        self.manifest = msgspec.structs.replace(self.manifest, **facts)
        write_document(self._layout.manifest, self.manifest)

    def note_server(self, info: ServerInfo) -> None:
        """Put what the server says it is into the manifest."""
        self.note(
            engine=info.engine,
            engine_version=info.version,
            model=info.model,
            tp=info.tp,
            flags=info.flags,
            idle_policy=info.idle_policy,
        )

    def warn(self, *warnings: str) -> None:
        new = [warning for warning in warnings if warning not in self.manifest.warnings]
        if new:
            self.note(warnings=[*self.manifest.warnings, *new])

    def phase(self, name: str, start_ns: int, end_ns: int) -> None:
        others = [phase for phase in self.manifest.phases if phase.name != name]
        self.note(phases=[*others, Phase(name=name, start_ns=start_ns, end_ns=end_ns)])

    def seal(self, failure: BaseException | None, faults: list[str]) -> Run:
        """The last word, on the room that was reserved for it.

        faults: what the generator or the profiler did wrong. Raises FolderError.
        """
        self._reserve.release()
        self.note(status=_status(failure), error=str(failure) if failure else None)
        run = Run(self._layout.path)
        summary = summarise(run)
        validity: Literal["valid"] | list[str] = [*faults, *judge_generator(summary, run.plan.limits)] or "valid"
        self.note(validity=validity)
        write_document(self._layout.summary, msgspec.structs.replace(summary, validity=validity))
        return run.sealed(self.manifest)


def _status(failure: BaseException | None) -> Status:
    if failure is None:
        return "complete"
    return "failed" if isinstance(failure, ServerError) else "partial"


def _git_commit() -> str | None:
    """The commit that the working folder stands at; None outside a repository or without git."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
        return done.stdout.strip() or None
    return None
