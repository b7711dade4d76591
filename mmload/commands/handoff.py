"""`mmload handoff`: the handoff alone, without HTTP: time and CPU by size, ranks and batch for every variant."""

from __future__ import annotations

import re
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmload.commands.options import refuse_contradictions, whole
from mmload.errors import UsageError
from mmload.plan.load_words import in_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmload.model.handoff import CollectiveName, HandoffReport, Observation
    from mmload.plan.handoff import Part

_SIZE = re.compile(r"^(\d+(?:\.\d+)?)(kB|KB|MB|GB)$")
_BYTES = {"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9}
# The notes' own cells. They name no size for their modelled build of 500 ms; 2 MB is the video that they give this for.
_SIZES, _BATCHES, _BUILD_MS, _MODELLED_SIZE = ("1MB", "10MB", "50MB", "100MB"), (1, 5, 10, 20, 50), 500.0, "2MB"
_MODELLED_VARIANTS = ("original", "commit", "batch-broadcast", "shm")  # the notes' three, and mmload's own
_ROUNDS, _MODELLED_ROUNDS = 7, 5


def handoff(  # noqa: PLR0913, PLR0917 (a command line has as many options as its contract names)
    context: typer.Context,
    variant: Annotated[list[str] | None, typer.Option(help="Patch variant (repeatable); default all.")] = None,
    tp: Annotated[int, typer.Option(help="Tensor-parallel ranks, 1 to 8.")] = 4,
    size: Annotated[
        list[str] | None, typer.Option(help="Features of a request: 10MB (repeatable); default 1, 10, 50 and 100 MB.")
    ] = None,
    batch: Annotated[list[int] | None, typer.Option(help="Requests received together (repeatable); default 1.")] = None,
    build_ms: Annotated[
        float | None,
        typer.Option(
            help="Model the build: sleep so long in its place. Default size then 2 MB, batches 1, 5, 10, 20, 50."
        ),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(help="How often each variant has its turn; 5 or more give intervals.")
    ] = None,
    collective: Annotated[
        str, typer.Option(help="What ranks broadcast by: standin, or gloo, SGLang's library (wants the extra torch).")
    ] = "standin",
    quick: Annotated[bool, typer.Option("--quick", help="One small cell of each kind.")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else there.")] = False,
) -> None:
    """Time and CPU of the handoff alone, for every variant, beside what is claimed of them.

    Real processes, one tokenizer and N ranks for each variant; no HTTP, no device. Without options: the cells of the
    design notes, features of 1 to 100 MB with a real build, and batches of 1 to 50 with a modelled one of 500 ms.
    """
    refuse_contradictions(context, {"quick": ("size", "batch", "build_ms")})
    in_range(tp, "--tp", 1, 8)
    whole(rounds, "--rounds", 1, 1000)
    variants = _variants(variant)
    part = partial(_part, tp, _collective(collective), rounds)
    if quick:
        parts = [part(variants, ("1MB",), (1,), None), part(variants, ("1MB",), (5,), 20.0)]
    elif build_ms is not None:
        in_range(build_ms, "--build-ms", 1, 60_000, " ms")
        parts = [part(variants, size or (_MODELLED_SIZE,), batch or _BATCHES, build_ms)]
    else:
        parts = [part(variants, size or _SIZES, batch or (1,), None)]
        named = tuple(name for name in variants if variant or name in _MODELLED_VARIANTS)
        if size is None and batch is None:
            parts.append(part(named, (_MODELLED_SIZE,), _BATCHES, _BUILD_MS))
    _measure(parts, as_json=json)


def _measure(parts: Sequence[Part], *, as_json: bool) -> None:
    """Measure, and show what was measured even where it ended early."""
    from mmload.plan.claims import load_claims  # noqa: PLC0415
    from mmload.plan.handoff import HandoffPlan, check_memory, expected_s  # noqa: PLC0415
    from mmload.session.handoff import measure  # noqa: PLC0415
    from mmload.show.progress_handoff import HandoffProgress  # noqa: PLC0415
    from mmload.show.tables_handoff import render_handoff  # noqa: PLC0415
    from mmload.show.terminal import open_console, print_document  # noqa: PLC0415
    from mmload.store.append import encode_document  # noqa: PLC0415

    plan = HandoffPlan(parts=tuple(parts))
    claims = load_claims()  # a wrong file is found out before, not after
    check_memory(plan, *_free_bytes())
    console = open_console(stderr=as_json)
    seen: list[Observation] = []
    complete = False
    try:
        with HandoffProgress(console, plan, expected_s(plan)) as progress:

            def take(observation: Observation) -> None:
                seen.append(observation)
                progress.advance(observation)

            measure(plan, take)
        complete = True
    finally:
        if seen:
            from mmload.judge.claims import report_of  # noqa: PLC0415

            report: HandoffReport = report_of(seen, claims, cores=_cores(), complete=complete)
            console.print(render_handoff(report))
            if as_json:
                print_document(encode_document(report).decode())


def _part(
    tp: int,
    collective: CollectiveName,
    rounds: int | None,
    variants: tuple[str, ...],
    sizes: Sequence[str],
    batches: Sequence[int],
    build_ms: float | None,
) -> Part:
    from mmload.plan.handoff import Part  # noqa: PLC0415

    return Part(
        tp=tp,
        variants=variants,
        sizes_bytes=tuple(sorted({_bytes(size) for size in sizes})),
        batches=tuple(sorted({int(in_range(batch, "--batch", 1, 1000)) for batch in batches})),
        build_ms=build_ms,
        rounds=rounds or (_ROUNDS if build_ms is None else _MODELLED_ROUNDS),
        collective=collective,
    )


def _collective(text: str) -> CollectiveName:
    if text == "standin":
        return "standin"
    if text != "gloo":
        raise UsageError(f"--collective {text!r} is not known", "it takes standin or gloo")
    if find_spec("torch") is None:
        raise UsageError("--collective gloo wants torch, which is not installed", "install the extra: mmload[torch]")
    return "gloo"


def _variants(given: list[str] | None) -> tuple[str, ...]:
    from mmload.handoff.registry import STRATEGIES, strategy_class  # noqa: PLC0415

    for name in given or ():
        strategy_class(name)
    return tuple(dict.fromkeys(given or [name for name in STRATEGIES if name != "stock"]))


def _bytes(text: str) -> int:
    """`10MB`, `500kB`, `1GB`, in powers of ten."""
    match = _SIZE.match(text.strip())
    if match is None:
        raise UsageError(f"--size {text!r} is not a size", "write it as 10MB, 500kB or 1GB")
    return int(in_range(float(match[1]) * _BYTES[match[2]], "--size", 4_000, 2e9, " bytes"))


def _cores() -> int:
    """Those that this process may use."""
    import os  # noqa: PLC0415

    return len(os.sched_getaffinity(0)) if sys.platform.startswith("linux") else os.cpu_count() or 1


def _free_bytes() -> tuple[int, int | None]:
    """Of memory, and in /dev/shm where there is one."""
    import shutil  # noqa: PLC0415

    import psutil  # noqa: PLC0415

    shared = Path("/dev/shm")  # noqa: S108 (asked for its size)
    return psutil.virtual_memory().available, shutil.disk_usage(shared).free if shared.is_dir() else None
