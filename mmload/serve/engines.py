"""The command line that starts each engine. An engine is a kind of server; the stand-in is the only one so far."""

from __future__ import annotations

import sys

from mmload.errors import UsageError
from mmload.plan.config_hints import nearest

ENGINES = ("standin",)


def start_command(
    engine: str, *, port: int, tp: int, variant: str, model: str | None = None, args: tuple[str, ...] = ()
) -> list[str]:
    """What to execute for a server of `engine` on 127.0.0.1:`port`. Raises UsageError on an unknown engine."""
    if engine not in ENGINES:
        raise UsageError(f"unknown engine {engine!r}", nearest(engine, list(ENGINES)))
    command = [sys.executable, "-m", "mmload.standin", "--port", str(port), "--tp", str(tp), "--variant", variant]
    return [*command, *(("--model", model) if model else ()), *args]
