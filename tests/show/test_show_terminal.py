from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from factory import make_run
from show_samples import manifest, summary

from mmload.errors import FolderError, ServerError
from mmload.show.terminal import open_console, print_error
from mmload.show.terminal_summary import render_summary


class Tty(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stderr(monkeypatch):
    """Replaces standard error; returns what was written to it."""

    def replace(kind=io.TextIOWrapper, encoding="utf-8"):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stderr", kind(raw, encoding=encoding, write_through=True))
        return raw

    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return replace


def test_an_error_is_its_message_and_its_hint(stderr):
    raw = stderr()
    print_error(ServerError("nobody answers at http://127.0.0.1:30000", "start one: mmload serve"))
    assert raw.getvalue() == b"error: nobody answers at http://127.0.0.1:30000\nhint: start one: mmload serve\n"


def test_an_error_without_a_hint_is_one_line_however_long(stderr):
    raw = stderr()
    print_error(FolderError("cannot read " + "long/" * 60))
    assert raw.getvalue().count(b"\n") == 1


def test_an_error_that_holds_escape_sequences_and_markup_is_only_text(stderr):
    raw = stderr()
    print_error(ServerError("\x1b[2J[red]gone[/red]\n"))
    assert raw.getvalue() == b"error: ?[2J[red]gone[/red] \n"


def test_there_is_colour_on_a_terminal(stderr):
    raw = stderr(Tty)
    print_error(ServerError("gone"))
    assert b"\x1b[" in raw.getvalue()
    assert open_console(stderr=True).is_interactive


def test_no_color_takes_the_colours_away(stderr, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    raw = stderr(Tty)
    print_error(ServerError("gone"))
    assert b"31m" not in raw.getvalue()


def test_a_coloured_log_is_not_redrawn(stderr, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    stderr()
    console = open_console(stderr=True)
    assert console.is_terminal
    assert not console.is_interactive


def test_a_dumb_terminal_is_not_redrawn(stderr, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stderr(Tty)
    assert not open_console(stderr=True).is_interactive


def test_an_encoding_that_lacks_a_character_is_no_error(stderr):
    raw = stderr(encoding="ascii")
    open_console(stderr=True).print(render_summary(summary(warnings=["größer ∞"]), manifest()))
    assert b"! gr??er ?" in raw.getvalue()


def test_a_full_disk_behind_standard_output_is_an_error_in_words(tmp_path):
    make_run(tmp_path)
    for args in (["runs", "list"], ["runs", "list", "--json"]):
        with Path("/dev/full").open("w") as full:
            command = [sys.executable, "-m", "mmload", *args, "--out", str(tmp_path)]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, "No space left" in done.stderr) == (7, True)
        assert "Traceback" not in done.stderr
