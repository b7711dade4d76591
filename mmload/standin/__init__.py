"""The embedded stand-in server: SGLang's processes, protocol and handoff with a modelled device. See server.py."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def command(port: int, tp: int, variant: str, extra_args: Sequence[str] = ()) -> list[str]:
    """The command line of a stand-in on 127.0.0.1; port 0 lets it choose, and its first line of output says which.

    Ready when /health answers 200. SIGTERM or SIGINT drains and ends it with all its ranks.
    """
    options = ["--host", "127.0.0.1", "--port", str(port), "--tp", str(tp), "--variant", variant]
    return [sys.executable, "-m", "mmload.standin", *options, *extra_args]
