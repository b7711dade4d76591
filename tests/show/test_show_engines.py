"""What `mmload engine` shows."""

import io

from rich.console import Console

from mmload.show.progress_engine import SetupProgress


def test_a_step_says_what_it_is_and_how_long_it_took():
    seconds = iter([100.0, 112.4])
    out = io.StringIO()
    with SetupProgress(Console(file=out), clock=lambda: next(seconds)).step("model") as say:
        say("a line of [pip] that is not shown where nothing can be redrawn")
    assert out.getvalue().splitlines() == ["model ..", "model: 12 s"]


def test_on_a_terminal_the_latest_line_stands_beside_it_and_is_harmless():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    with SetupProgress(console, clock=lambda: 0.0).step("model") as say:
        say("[red]Downloading\x1b[2J")
    assert "[red]Downloading?[2J" in out.getvalue()
