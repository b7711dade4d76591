"""`mmload serve`: a server running a variant, in the foreground."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from mmload.plan.load_words import in_range


def serve(
    engine_args: Annotated[list[str] | None, typer.Argument(metavar="[-- ENGINE ARGS...]", show_default=False)] = None,
    variant: Annotated[str, typer.Option(help="Patch variant: mmload variants list.")] = "stock",
    engine: Annotated[str, typer.Option(help="What to start: standin, sglang or sglang-cpu[:VERSION].")] = "standin",
    tp: Annotated[int, typer.Option(help="Tensor-parallel ranks.")] = 2,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 lets it choose.")] = 30000,
    model: Annotated[str | None, typer.Option(help="Model path or name.")] = None,
) -> None:
    """Start a server in the foreground; Ctrl-C ends it with all its ranks.

    Load it from another terminal: mmload run --url http://127.0.0.1:30000
    """
    from mmload.plan.variants import load_variant  # noqa: PLC0415
    from mmload.serve.engines import start_command  # noqa: PLC0415
    from mmload.serve.process import free_port  # noqa: PLC0415

    load_variant(variant)
    in_range(tp, "--tp", 1, 64)
    in_range(port, "--port", 0, 65535)
    if port == 0 and engine != "standin":  # SGLang knows no such port
        port = free_port()
    command = start_command(engine, port=port, tp=tp, variant=variant, model=model, args=tuple(engine_args or ()))
    os.execvp(command[0], command)  # the server takes this process's place, its signals and its exit code
