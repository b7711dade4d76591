"""`mmload engine`: the kinds of server that mmload can start."""

from __future__ import annotations

from typing import Annotated

import typer

from mmload.errors import UsageError

app = typer.Typer(help="The engines: what can be started, and what is ready.", no_args_is_help=True)


@app.command("list")
def list_engines() -> None:
    """All engines, a line each, and whether they are ready."""
    from mmload.serve.engines import sglang_python  # noqa: PLC0415
    from mmload.serve.sglang_cpu.place import CpuEngine  # noqa: PLC0415

    try:
        sglang = f"by {sglang_python()}"
    except UsageError as error:
        sglang = f"not found: {error}"
    cpu = CpuEngine.of()
    state = f"SGLang {cpu.version} in {cpu.folder}" if cpu.is_ready else "not set up: mmload engine setup sglang-cpu"
    for name, said in (("standin", "ready"), ("sglang", sglang), ("sglang-cpu", state)):
        print(f"{name:<12}{said}")


@app.command("setup")
def setup_engine(
    name: Annotated[str, typer.Argument(help="sglang-cpu; the others need no setup.")],
    sglang: Annotated[str | None, typer.Option(metavar="VERSION", help="SGLang's version; default 0.5.6.")] = None,
) -> None:
    """Make an engine's environment and model, from the package index alone: about 3.5 GB, once."""
    from mmload.plan.config_hints import nearest  # noqa: PLC0415
    from mmload.serve.engines import ENGINES  # noqa: PLC0415
    from mmload.serve.sglang_cpu.place import CpuEngine  # noqa: PLC0415
    from mmload.serve.sglang_cpu.setup import set_up  # noqa: PLC0415

    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}", nearest(name, list(ENGINES)))
    if name != "sglang-cpu":
        raise UsageError(f"the engine {name} needs no setup", "mmload engine list says what is ready")
    engine = CpuEngine.of(sglang)
    set_up(engine, lambda line: typer.echo(line, err=True))
    print(f"ready: SGLang {engine.version} in {engine.folder}")
