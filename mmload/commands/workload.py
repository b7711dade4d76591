"""`mmload workload`: what can be sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmload.plan.load_words import in_range

app = typer.Typer(help="The workloads: what is sent, and how much of it.", no_args_is_help=True)


@app.command("list")
def list_workloads() -> None:
    """All workloads, a line each."""
    from mmload.plan import config  # noqa: PLC0415
    from mmload.plan.workload import load_workload  # noqa: PLC0415
    from mmload.show.tables_workloads import render_workloads  # noqa: PLC0415
    from mmload.show.terminal import open_console  # noqa: PLC0415

    open_console().print(render_workloads([load_workload(name) for name in config.names("workloads")]))


@app.command("show")
def show_workload(
    name: Annotated[str, typer.Argument(help="A workload's name or file.")],
    save: Annotated[Path | None, typer.Option(metavar="DIR", help="Write media and one body there.")] = None,
    count: Annotated[int, typer.Option(help="How many requests to make.")] = 8,
    seed: Annotated[int, typer.Option(help="As in mmload run.")] = 0,
) -> None:
    """One workload: what it sends and how large that is, from a few of its requests."""
    from mmload.plan import payloads_saved  # noqa: PLC0415
    from mmload.plan.workload import load_workload  # noqa: PLC0415
    from mmload.show.tables_workloads import render_workload  # noqa: PLC0415
    from mmload.show.terminal import open_console  # noqa: PLC0415

    in_range(count, "--count", 1, 1000)
    in_range(seed, "--seed", 0, 2**63 - 1)
    resolved_name, workload = load_workload(name)
    samples = payloads_saved.sample(resolved_name, workload, count, seed)
    sizes = [(one.modality, len(one.body), [len(content) for _, content in one.media]) for one in samples]
    open_console().print(render_workload(resolved_name, workload, sizes))
    if save is not None:
        for file in payloads_saved.save(samples, save):
            print(file)
