"""`mmload gate`: judge stored runs against acceptance criteria."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmload.commands.options import OUT
from mmload.errors import FolderError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from mmload.judge.choice import Choice
    from mmload.judge.definition import Gate
    from mmload.model.result import Verdict
    from mmload.store.read import Run


def gate(  # noqa: PLR0913, PLR0917 (a command line has as many options as its contract names)
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN...]", help="Run-ids or paths; default the newest.", show_default=False),
    ] = None,
    gate: Annotated[str, typer.Option(help="A gate's name or file.")] = "release",
    candidate: Annotated[str | None, typer.Option(metavar="VARIANT", help="The variant to judge.")] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(metavar="VARIANT=RUN", help="The run to compare with (repeatable).")
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML.")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a Markdown table.")] = None,
    out: Annotated[Path, typer.Option(help="Where run folders are.")] = OUT,
    json: Annotated[
        bool, typer.Option("--json", help="verdict.json on standard output, and nothing else there.")
    ] = False,
) -> None:
    """Judge a run: every criterion with its figure, its interval and its verdict.

    Exit code 0 passed, 1 failed, 3 not enough evidence, 4 the run can't be trusted.
    """
    from mmload.judge.choice import choose_runs  # noqa: PLC0415
    from mmload.judge.definition import load_gate  # noqa: PLC0415
    from mmload.show.terminal import open_console  # noqa: PLC0415
    from mmload.store.read import find_run, list_runs  # noqa: PLC0415

    definition = load_gate(gate)
    stored = list_runs(out)
    given = [find_run(name, out) for name in runs or ()]
    baselines = _baselines(baseline or [], out)
    choice = choose_runs(given, definition, candidate, baselines, also=stored)
    verdict = _judge(definition, choice)
    _report(verdict, junit, markdown)
    raise typer.Exit(_show(verdict, open_console(stderr=json), as_json=json))


def judge_new_run(run: Run, gate: str, out: Path, console: Console) -> int:
    """Judge a run that has just been made; the gate's exit code."""
    from mmload.judge.choice import choose_runs  # noqa: PLC0415
    from mmload.judge.definition import load_gate  # noqa: PLC0415
    from mmload.store.read import list_runs  # noqa: PLC0415

    definition = load_gate(gate)
    return _show(_judge(definition, choose_runs([run], definition, also=list_runs(out))), console, as_json=False)


def _judge(definition: Gate, choice: Choice) -> Verdict:
    """The verdict, kept in the candidate's folder where that can be written."""
    from mmload.judge.gate import judge  # noqa: PLC0415
    from mmload.store.append import write_document  # noqa: PLC0415

    verdict = judge(definition, choice)
    try:
        write_document(choice.candidate.layout.verdict, verdict)
    except FolderError as error:  # a folder that may only be read can still be judged
        print(f"warning: the verdict is not kept: {error}", file=sys.stderr)
    return verdict


def _show(verdict: Verdict, console: Console, *, as_json: bool) -> int:
    from mmload.judge.gate import exit_code  # noqa: PLC0415
    from mmload.show.tables_verdict import render_verdict  # noqa: PLC0415
    from mmload.store.append import encode_document  # noqa: PLC0415

    console.print(render_verdict(verdict))
    if as_json:
        sys.stdout.write(encode_document(verdict).decode())
    return exit_code(verdict.verdict)


def _report(verdict: Verdict, junit: Path | None, markdown: Path | None) -> None:
    """Write what was asked for; a GitHub job gets the table on its summary page too."""
    from mmload.show.junit import to_junit  # noqa: PLC0415
    from mmload.show.markdown import to_markdown  # noqa: PLC0415

    if junit is not None:
        _write(junit, to_junit(verdict))
    if markdown is not None:
        _write(markdown, to_markdown(verdict))
        if page := os.environ.get("GITHUB_STEP_SUMMARY"):
            _write(Path(page), to_markdown(verdict), mode="a")


def _write(file: Path, text: str, mode: str = "w") -> None:
    try:
        with file.open(mode, encoding="utf-8") as output:
            output.write(text)
    except OSError as error:
        raise FolderError(f"cannot write {file}: {error.strerror}") from error


def _baselines(options: list[str], out: Path) -> dict[str, Run]:
    from mmload.store.read import find_run  # noqa: PLC0415

    baselines: dict[str, Run] = {}
    for variant, run in map(_variant_and_run, options):
        if variant in baselines:
            raise UsageError(f"--baseline {variant}= is given twice", "a variant has one baseline")
        baselines[variant] = find_run(run, out)
    return baselines


def _variant_and_run(text: str) -> tuple[str, str]:
    variant, equals, run = text.partition("=")
    if not equals or not run:
        raise UsageError(f"--baseline {text!r} lacks its run", "write it as --baseline original=RUN")
    return variant, run
