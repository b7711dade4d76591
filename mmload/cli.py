"""Options -> one call -> exit code; nothing else. Commands import what they need when they are called."""

from __future__ import annotations

import signal
import sys
import traceback

import typer

from mmload import __version__
from mmload.commands import (
    agent,
    compare,
    engine,
    flame,
    gate,
    handoff,
    profile,
    report,
    run,
    runs,
    selftest,
    serve,
    variants,
    worker,
    workload,
)
from mmload.errors import EXIT_OWN_FAULT, MmloadError

app = typer.Typer(
    name="mmload",
    help="Load, profile and judge SGLang servers that hand multimodal inputs to their tensor-parallel ranks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run", rich_help_panel="Measure")(run.run)
app.command("worker", rich_help_panel="Measure")(worker.worker)
app.command("profile", rich_help_panel="Measure")(profile.profile)
app.command("agent", rich_help_panel="Measure")(agent.agent)
app.command("serve", rich_help_panel="Measure")(serve.serve)
app.command("handoff", rich_help_panel="Measure")(handoff.handoff)
app.command("gate", rich_help_panel="Judge")(gate.gate)
app.command("compare", rich_help_panel="Judge")(compare.compare)
app.command("selftest", rich_help_panel="Judge")(selftest.selftest)
app.command("flame", rich_help_panel="Look")(flame.flame)
app.command("report", rich_help_panel="Look")(report.report)
app.add_typer(runs.app, name="runs", rich_help_panel="Look")
app.add_typer(variants.app, name="variants", rich_help_panel="Look")
app.add_typer(workload.app, name="workload", rich_help_panel="Look")
app.add_typer(engine.app, name="engine", rich_help_panel="Look")


def _version(asked: bool) -> None:
    if asked:
        print(f"mmload {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: bool = typer.Option(  # noqa: ARG001 (its callback does it)
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Nothing that holds for every command but this."""
    if context.invoked_subcommand not in (
        "run",
        "compare",
        "gate",
        "profile",
        "serve",
        "worker",
        "agent",
        "selftest",
    ):  # what talks to servers must live through a closed socket
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def main() -> None:
    """The `mmload` command. The only place where an MmloadError is caught."""
    try:
        app()
    except MmloadError as error:
        from mmload.show.terminal import print_error  # noqa: PLC0415 (rich is loaded only to be used)

        print_error(error)
        sys.exit(error.exit_code)
    except Exception:  # noqa: BLE001 (whatever it is, it must not end in exit code 1: that is a failed gate)
        traceback.print_exc()
        print("error: a fault of mmload itself; what was measured is kept", file=sys.stderr)
        sys.exit(EXIT_OWN_FAULT)
