"""`mmload workload`: what can be sent."""

from __future__ import annotations

import typer

app = typer.Typer(help="The workloads: what is sent, and how much of it.", no_args_is_help=True)


@app.command("list")
def list_workloads() -> None:
    """All workloads, a line each."""
    from mmload.plan import config  # noqa: PLC0415
    from mmload.plan.workload import load_workload  # noqa: PLC0415
    from mmload.show.tables_workloads import render_workloads  # noqa: PLC0415
    from mmload.show.terminal import open_console  # noqa: PLC0415

    open_console().print(render_workloads([load_workload(name) for name in config.names("workloads")]))
