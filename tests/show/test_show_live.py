from __future__ import annotations

import io
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from show_samples import drawn, drawn_lines, live

from mmload.model.live import LiveView
from mmload.show.live import LiveDisplay
from mmload.show.live_frame import draw_frame, plain_line
from mmload.show.terminal_sheet import Drawn


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def frame(view, width=80, rates_rps=()):
    return drawn(Drawn(lambda sheet: draw_frame(view, "title", rates_rps, sheet)), width)


def console(terminal):
    return Console(
        file=io.StringIO(), width=100, height=30, force_terminal=terminal, force_interactive=terminal, _environ={}
    )


def test_a_log_gets_a_line_every_five_seconds_and_at_each_new_stage():
    clock, log = Clock(), console(terminal=False)
    with LiveDisplay(log, "title", clock) as display:
        for _ in range(48):
            display.update(live(stage="warmup", stage_elapsed_s=clock.now_s - 100, warnings=[]))
            clock.now_s += 0.25
        display.update(live(warnings=[]))
    lines = log.file.getvalue().splitlines()
    starts = ["title", "warm-up 0.0 of", "warm-up 5.0 of", "warm-up 10.0 of", "measuring 12.3 of"]
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))


def test_a_log_gets_each_warning_once_and_at_once():
    log = console(terminal=False)
    with LiveDisplay(log, clock=Clock()) as display:
        display.update(live(warnings=["one"]))
        display.update(live(warnings=["one", "two"]))
        display.update(live(warnings=["two"]))
    assert [line for line in log.file.getvalue().splitlines() if "warning" in line] == ["warning: one", "warning: two"]


def test_a_line_of_a_log_is_never_broken_and_has_no_colour():
    log = console(terminal=False)
    with LiveDisplay(log, clock=Clock()) as display:
        display.update(live(warnings=["x" * 300]))
    assert "warning: " + "x" * 300 in log.file.getvalue().splitlines()
    assert "\x1b" not in log.file.getvalue()


def test_a_terminal_is_drawn_four_times_a_second_and_wiped_at_the_end():
    clock, screen = Clock(), console(terminal=True)
    with LiveDisplay(screen, "title", clock) as display:
        display.update(live(done=1))
        display.update(live(done=2))  # too soon
        clock.now_s += 0.25
        display.update(live(done=3))
    written = screen.file.getvalue()
    assert "done 1" in written.replace("\x1b[0m", "").replace("\x1b[2m", "")
    assert "done 2" not in written.replace("\x1b[0m", "").replace("\x1b[2m", "")
    assert "done 3" in written.replace("\x1b[0m", "").replace("\x1b[2m", "")
    assert "\x1b[2K" in written  # lines erased
    assert written.rstrip().endswith(("\x1b[?25h", "\x1b[2K"))  # the cursor is back


def test_the_display_ends_well_when_the_run_does_not():
    screen = console(terminal=True)

    def interrupted():
        with LiveDisplay(screen, clock=Clock()) as display:
            display.update(live())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "\x1b[?25h" in screen.file.getvalue()


def test_the_sparkline_holds_the_last_minute():
    clock, screen = Clock(), console(terminal=True)
    with LiveDisplay(screen, clock=clock) as display:
        for second in range(70):
            display.update(live(achieved_rps=float(second)))
            clock.now_s += 1
        assert len(display._rates) == 60
        assert display._rates[-1] == 69


def test_before_the_first_request_only_the_stage_is_shown():
    starting = LiveView(stage="server", stage_elapsed_s=1.5)
    stage = frame(starting).splitlines()[1:]
    assert len(stage) == 1
    assert stage[0].split()[0] == "server"
    assert stage[0].endswith(" 1.5 s")
    assert plain_line(starting) == "server 1.5 s"


def test_what_is_not_known_yet_is_a_dash_and_not_a_zero():
    text = frame(LiveView(stage="warmup", sent=1))
    assert re.search(r"p50 +- .*p90 +- .*p99 +- ", text)
    assert re.search(r"lag p99 +- ", text)
    assert "CPU" not in text


def test_zero_outcomes_are_hidden():
    assert "timeout 2" in frame(live())
    assert "dropped" not in frame(live())


def test_a_process_over_one_core_fits_its_bar():
    assert "full bar: 200 % of a core" in frame(live())
    assert "161 %" in frame(live())


def test_a_figure_keeps_its_place_while_it_grows():
    small, great = (
        live(achieved_rps=1.0, response_ms=(1.0, 2.0, 3.0)),
        live(achieved_rps=1000.0, response_ms=(900.0,) * 3),
    )
    for one, other in zip(frame(small).splitlines(), frame(great).splitlines(), strict=True):
        for unit in ("/s", " ms"):
            assert one.find(unit) == other.find(unit)


some_view = st.builds(
    LiveView,
    stage=st.sampled_from(["payloads", "server", "measure", "sealing", "unheard-of"]),
    stage_elapsed_s=st.floats(0, 1e5),
    stage_length_s=st.none() | st.floats(0, 1e5),
    left_s=st.none() | st.floats(0, 1e5),
    offered_rps=st.floats(0, 1e5),
    achieved_rps=st.floats(0, 1e5),
    scheduled=st.integers(0, 10**7),
    sent=st.integers(0, 10**7),
    done=st.integers(0, 10**7),
    in_flight=st.integers(0, 10**5),
    response_ms=st.tuples(*[st.none() | st.floats(0, 1e5) | st.just(math.inf)] * 3),
    outcomes=st.dictionaries(st.sampled_from(["ok", "timeout", "dropped"]), st.integers(0, 10**7)),
    cpu_pct=st.dictionaries(st.text(max_size=30), st.floats(0, 1000), max_size=12),
    lag_p99_ms=st.none() | st.floats(0, 1e5),
    stall_ms=st.floats(0, 1e5),
    warnings=st.lists(st.text(max_size=300), max_size=4),
)


@settings(max_examples=60, deadline=None)
@given(some_view, st.lists(st.floats(0, 1e5), max_size=60), st.sampled_from([60, 80, 140]))
def test_no_frame_is_wider_than_the_terminal_or_taller_than_its_parts(view, rates_rps, width):
    written = drawn_lines(Drawn(lambda sheet: draw_frame(view, "t" * 200, rates_rps, sheet)), width)
    assert [line for line in written if len(line) > width and line.isascii()] == []
    assert len(written) <= 2 + 1 + 9 + 2 + len(view.cpu_pct) + 1 + 3


@settings(max_examples=30, deadline=None)
@given(some_view, st.integers(1, 59))
def test_the_narrowest_terminal_gets_a_frame_too(view, width):
    assert frame(view, width)
