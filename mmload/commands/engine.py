"""`mmload engine`: the kinds of server that mmload can start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mmload.errors import UsageError

if TYPE_CHECKING:
    from mmload.show.tables_engines import EngineRow

app = typer.Typer(help="The engines: what can be started, and what is ready.", no_args_is_help=True)


@app.command("list")
def list_engines(
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else there.")] = False,
) -> None:
    """All engines: what each is, whether it is ready, and what to type."""
    import msgspec  # noqa: PLC0415

    from mmload.show.tables_engines import render_engines  # noqa: PLC0415
    from mmload.show.terminal import open_console, print_document  # noqa: PLC0415

    rows = [_standin(), _sglang(), _sglang_cpu()]
    if json:
        print_document(msgspec.json.encode(rows).decode() + "\n")
        return
    open_console().print(render_engines(rows))


@app.command("setup")
def setup_engine(
    name: Annotated[str, typer.Argument(help="sglang-cpu, or sglang-cpu:VERSION; the others need no setup.")],
    sglang: Annotated[str | None, typer.Option(metavar="VERSION", help="The same version as an option.")] = None,
) -> None:
    """Make an engine's environment and model, from the package index alone: 1.4 GB, or 5 GB where the index has torch
    for CUDA only. What is finished is kept."""
    from mmload.serve.engines import split_name  # noqa: PLC0415
    from mmload.serve.sglang_cpu.place import CpuEngine  # noqa: PLC0415
    from mmload.serve.sglang_cpu.setup import set_up  # noqa: PLC0415
    from mmload.session.interrupt import interruption  # noqa: PLC0415
    from mmload.show.progress_engine import SetupProgress  # noqa: PLC0415
    from mmload.show.terminal import open_console  # noqa: PLC0415

    kind, version = split_name(name)
    if kind != "sglang-cpu":
        raise UsageError(f"the engine {kind} needs no setup", "mmload engine list says what is ready")
    if version and sglang:
        raise UsageError(f"{name} and --sglang {sglang} both name a version", "leave one of them out")
    engine = CpuEngine.of(version or sglang)
    with interruption() as signals:
        set_up(engine, SetupProgress(open_console(stderr=True)), signals.check)
    print(f"ready: SGLang {engine.version} in {engine.folder}")
    print(f"next:  {_run(engine.name)}")


def _run(engine: str) -> str:
    return f"mmload run --engine {engine} --rate 4"


def _standin() -> EngineRow:
    from mmload.show.tables_engines import EngineRow  # noqa: PLC0415
    from mmload.standin.config import load_config  # noqa: PLC0415

    about = load_config("standin").about
    return EngineRow(name="standin", about=about, ready=True, state="ready", next=("mmload run --rate 100",))


def _sglang() -> EngineRow:
    from mmload.serve.engines import sglang_python  # noqa: PLC0415
    from mmload.show.tables_engines import EngineRow  # noqa: PLC0415

    name, about = "sglang", "SGLang as it is installed, with a model of yours."
    try:
        python = sglang_python()
    except UsageError as error:
        return EngineRow(name=name, about=about, ready=False, state=str(error), next=tuple(filter(None, [error.hint])))
    command = f"{_run(name)} --model PATH"
    return EngineRow(name=name, about=about, ready=True, state=f"ready: {python}", next=(command,))


def _sglang_cpu() -> EngineRow:
    from mmload.serve.sglang_cpu.place import CpuEngine, disk_bytes  # noqa: PLC0415
    from mmload.show.tables_engines import EngineRow  # noqa: PLC0415

    default = CpuEngine.of()
    engines = [default, *(CpuEngine.of(version) for version in default.config.versions if version != default.version)]
    ready, missing = ([e for e in engines if e.is_ready is wanted] for wanted in (True, False))
    unused = default.superseded()
    states = {
        "ready": [engine.version for engine in ready],
        "not set up": [engine.version for engine in missing],
        "no longer used": [folder.name for folder in unused],
    }
    there = default.folder.is_dir()
    return EngineRow(
        name="sglang-cpu",
        about=default.config.about,
        ready=bool(ready),
        state="; ".join(f"{word}: {', '.join(some)}" for word, some in states.items() if some),
        next=(
            *(_run(engine.name) for engine in ready[:1]),
            *(engine.setup_command for engine in missing[:1]),
            *(f"rm -r {folder}" for folder in unused),
        ),
        versions={engine.version: engine in ready for engine in engines},
        folder=str(default.folder) if there else None,
        disk_bytes=disk_bytes(default.folder) if there else None,
    )
