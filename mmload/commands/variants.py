"""`mmload variants`: the ways in which multimodal inputs can reach the ranks."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="The patch variants: what each does, and what it risks.", no_args_is_help=True)


@app.command("list")
def list_variants() -> None:
    """All variants, a line each."""
    from mmload.plan.variants import load_variants  # noqa: PLC0415
    from mmload.show.tables_variants import render_variants  # noqa: PLC0415
    from mmload.show.terminal import open_console  # noqa: PLC0415

    open_console().print(render_variants(load_variants()))


@app.command("show")
def show_variant(name: Annotated[str, typer.Argument(help="A variant's name.")]) -> None:
    """One variant: what it does, where it comes from, its hazards."""
    from mmload.plan.variants import load_variant  # noqa: PLC0415
    from mmload.show.tables_variants import render_variant  # noqa: PLC0415
    from mmload.show.terminal import open_console  # noqa: PLC0415

    open_console().print(render_variant(load_variant(name)))
