"""`mmload selftest`: planted faults against the stand-in: does the tool still tell good from bad?"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from mmload.model.selftest import SelftestRow, SimulatedRate
    from mmload.selftest.checks import Check

_TRIALS, _QUICK_TRIALS = 1000, 200


def selftest(
    quick: Annotated[bool, typer.Option("--quick", help="Shorter runs, for CI: under two minutes.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="This row alone (repeatable), and no simulation.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Keep the run folders here; default: they are removed, unless a row is wrong."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else there.")] = False,
) -> None:
    """Plant faults of known size in the stand-in, and see whether each is found for the right reason.

    Real processes, real runs, the real gate; controls without a fault beside them. Takes about five minutes.

    Exit code 0 all right, 1 a row is wrong, 3 a row could not be judged (a busy host), 5 no server could be run.
    """
    from mmload.selftest.checks import chosen  # noqa: PLC0415
    from mmload.selftest.rows import exit_code, report_of  # noqa: PLC0415
    from mmload.show.tables_selftest import render_report  # noqa: PLC0415
    from mmload.show.terminal import open_console, print_document  # noqa: PLC0415
    from mmload.store.append import encode_document  # noqa: PLC0415

    checks = chosen(only or (), quick=quick)
    trials = 0 if only else _QUICK_TRIALS if quick else _TRIALS
    console = open_console(stderr=json)
    folder = out or Path(tempfile.mkdtemp(prefix="mmload-selftest-"))
    rows: list[SelftestRow] = []
    rates: list[SimulatedRate] = []
    try:
        _carry_out(checks, trials, folder, console, (rows, rates), quick=quick)
    finally:
        kept = None if out is None and _removed(folder, rows) else str(folder)
        report = report_of(rows, rates, quick=quick, complete=len(rows) == len(checks), kept=kept)
        console.print(render_report(report))
        if json:
            print_document(encode_document(report).decode())
    raise typer.Exit(exit_code(report))


def _carry_out(
    checks: Sequence[Check],
    trials: int,
    folder: Path,
    console: Console,
    found: tuple[list[SelftestRow], list[SimulatedRate]],
    *,
    quick: bool,
) -> None:
    """Every row, then the simulation; `found` gets both as they come."""
    from mmload.selftest.rows import row_of  # noqa: PLC0415
    from mmload.selftest.simulate import simulate  # noqa: PLC0415
    from mmload.selftest.workbench import Workbench  # noqa: PLC0415
    from mmload.session.interrupt import interruption  # noqa: PLC0415
    from mmload.show.progress_selftest import SelftestProgress  # noqa: PLC0415

    rows, rates = found
    with SelftestProgress(console, len(checks)) as progress, interruption() as interrupted:
        bench = Workbench(folder, quick=quick, show=progress.shows)
        for check in checks:
            progress.begins(check.name)
            rows.append(row_of(check, bench))
            progress.ended(rows[-1])
            interrupted.check()
        progress.begins("simulation")
        for rate in simulate(trials) if trials else ():
            rates.append(rate)
            interrupted.check()


def _removed(folder: Path, rows: Sequence[SelftestRow]) -> bool:
    """Remove the runs, unless there is something to look up in them."""
    if any(row.state in ("wrong", "not made") for row in rows):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True
