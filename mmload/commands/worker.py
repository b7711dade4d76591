"""`mmload worker`: a load-generating process for a driver elsewhere."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from mmload.commands.options import address
from mmload.plan.load_words import seconds


def worker(
    master: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="The driver, as `mmload run --expect-workers` names it.")
    ],
    wait: Annotated[str, typer.Option(help="How long to look for it.")] = "5m",
) -> None:
    """Join a run as a load-generating process, send a share of its one schedule, and end with it.

    Start it before the driver or after. It makes the payloads itself, from the driver's plan: files of your own
    (--items, --trace, media) have to lie at the same path on both hosts. The exit code is 0 when the run is over.
    """
    host, port = address(master, "--master")
    wait_s = seconds(wait, "--wait", shortest_s=1.0)
    command = [sys.executable, "-m", "mmload.drive.remote", host, str(port), "--wait-s", f"{wait_s:g}"]
    os.execv(command[0], command)  # Locust wants a process of its own from the first import
