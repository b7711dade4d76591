from __future__ import annotations

import msgspec
import pytest
from show_samples import drawn

from mmload.analyse.slow import PhaseWall, SlowRequests, ThreadWall
from mmload.show.terminal_slow import render_slow


def wall(slow_ms: float, rest_ms: float, more_ms: float, half_ms: float, *, named: bool = False) -> PhaseWall:
    return PhaseWall(
        slow_ms=slow_ms,
        rest_ms=rest_ms,
        more_ms=more_ms,
        low_ms=more_ms - half_ms,
        high_ms=more_ms + half_ms,
        named=named,
    )


FOUND = SlowRequests(
    slow=8,
    rest=504,
    left_out=11,
    spells=3,
    slow_wait_ms=812.4,
    rest_wait_ms=214.2,
    threads={
        "scheduler_TP0": ThreadWall(
            process="scheduler_TP0",
            phases={
                "idle-poll": wall(101.2, 61.3, -131.4, 40.2),
                "broadcast": wall(531.6, 31.7, 411.8, 61.9, named=True),
                "forward": wall(171.3, 111.4, -251.5, 70.6),
                "reply": wall(8.2, 9.8, -29.1, 33.3),
            },
            stacks={},
        ),
        "scheduler_TP1": ThreadWall(
            process="scheduler_TP1",
            phases={
                "materialise": wall(520.7, 12.8, 472.9, 55.1, named=True),
                "forward": wall(291.7, 201.4, -472.2, 60.3),
            },
            stacks={},
        ),
        "tokenizer, thread ThreadPoolExecutor-0_0": ThreadWall(process="tokenizer", phases={}, stacks={}),
    },
    sentences=[
        "the slowest 8 of 512 requests waited 812 ms, the rest 214 ms",
        "scheduler_TP1 spent 521 ms of it in materialise (while the rest waited: 13 ms)",
        "scheduler_TP0 spent 532 ms of it in broadcast (while the rest waited: 32 ms)",
    ],
)


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_slow_requests_look_as_they_did(width, golden):
    golden(f"slow-{width}", drawn(render_slow(FOUND), width))


def test_they_look_the_same_in_ascii_and_without_colour():
    assert drawn(render_slow(FOUND), 80, encoding="ascii") == drawn(render_slow(FOUND), 80)


def test_it_is_said_that_nothing_was_found():
    text = drawn(render_slow(msgspec.structs.replace(FOUND, sentences=FOUND.sentences[:1])), 80)
    assert "no phase took more of it than chance" in text


def test_processes_of_which_nothing_is_known_are_said():
    found = msgspec.structs.replace(FOUND, notes=["nothing is known of tokenizer: py-spy \x1b[2J hung"])
    text = drawn(render_slow(found), 80)
    assert text.splitlines()[-1].startswith("nothing is known of tokenizer: py-spy ")
    assert "\x1b" not in text


def test_a_threads_name_can_not_steer_the_terminal():
    threads = {"tokenizer, thread \x1b[2J;": FOUND.threads["scheduler_TP1"]}
    assert "\x1b" not in drawn(render_slow(msgspec.structs.replace(FOUND, threads=threads)), 80)
