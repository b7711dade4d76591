"""Where everything of a run lies. A run is a folder; this is the only module that knows its file names."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

_RUN_ID = re.compile(r"^\d{8}T\d{6}Z-[A-Za-z0-9_.-]+-[0-9a-f]{4}$")


def new_run_id(variant: str, now: datetime | None = None, token: str | None = None) -> str:
    """`<UTC time>-<variant>-<4 hex>`, e.g. `20261120T031500Z-optimized-9f3c`: sorts by time."""
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    return f"{moment}-{variant}-{token or secrets.token_hex(2)}"


def is_run_id(name: str) -> bool:
    return _RUN_ID.match(name) is not None


class RunLayout:
    """The paths inside one run folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = path / "manifest.json"
        self.plan = path / "plan.json"
        self.requests = path / "requests.jsonl"
        self.answers = path / "answers.jsonl"
        self.processes = path / "processes.jsonl"
        self.host = path / "host.jsonl"
        self.server = path / "server.jsonl"
        self.generator = path / "generator.jsonl"
        self.summary = path / "summary.json"
        self.verdict = path / "verdict.json"
        self.report = path / "report.html"
        self.stacks = path / "stacks"
        self.logs = path / "logs"
        self.dumps = path / "dumps"
        self.server_log = self.logs / "server.log"

    @property
    def run_id(self) -> str:
        return self.path.name

    def folded(self, process: str) -> Path:
        return self.stacks / f"{process}.folded"

    def threads(self, process: str) -> Path:
        return self.stacks / f"{process}.threads.json"

    def stamped(self, process: str) -> Path:
        return self.stacks / f"{process}.stamped.json"

    def log(self, process: str) -> Path:
        return self.logs / f"{process}.log"
