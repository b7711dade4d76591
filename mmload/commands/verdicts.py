"""A verdict made, kept, shown and reported: `mmload gate` and `mmload run --gate` do it alike."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mmload.commands.documents import keep, write_text
from mmload.errors import FolderError

if TYPE_CHECKING:
    from rich.console import Console

    from mmload.judge.choice import Choice
    from mmload.judge.definition import Gate
    from mmload.model.result import Verdict


def judge_and_keep(gate: Gate, choice: Choice, campaign: Path | None = None) -> Verdict:
    """The verdict, kept in the candidate's folder, and in the campaign's file where there is one."""
    from mmload.judge.gate import judge  # noqa: PLC0415

    verdict = judge(gate, choice)
    for file in (choice.candidate.layout.verdict, campaign):
        if file is not None:
            keep(file, verdict, "verdict")
    return verdict


def show(verdict: Verdict, console: Console, *, as_json: bool) -> int:
    """On the terminal, and on standard output where that is to be JSON; the exit code."""
    from mmload.judge.gate import exit_code  # noqa: PLC0415
    from mmload.show.tables_verdict import render_verdict  # noqa: PLC0415
    from mmload.show.terminal import print_document  # noqa: PLC0415
    from mmload.store.append import encode_document  # noqa: PLC0415

    console.print(render_verdict(verdict))
    if as_json:
        print_document(encode_document(verdict).decode())
    return exit_code(verdict.verdict)


def report(verdict: Verdict, junit: Path | None, markdown: Path | None) -> None:
    """Write what was asked for; a GitHub job gets the table on its summary page in any case, where it has one that can
    be written. Raises FolderError."""
    from mmload.show.junit import to_junit  # noqa: PLC0415
    from mmload.show.markdown import to_markdown  # noqa: PLC0415

    if junit is not None:
        write_text(junit, to_junit(verdict))
    if markdown is not None:
        write_text(markdown, to_markdown(verdict))
    page = os.environ.get("GITHUB_STEP_SUMMARY")
    if page and markdown != Path(page):
        try:
            write_text(Path(page), to_markdown(verdict), mode="a")
        except FolderError as error:  # nobody asked for it: the verdict must not be lost for it
            print(f"warning: no table on the summary page ($GITHUB_STEP_SUMMARY): {error}", file=sys.stderr)
