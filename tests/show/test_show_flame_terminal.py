"""Flame views in the terminal."""

import pytest
from show_samples import drawn

from mmload.analyse.flame import FlameProfile, ProcessFlame, StackCost
from mmload.analyse.flame_document import flame_document
from mmload.analyse.phases import Judge
from mmload.plan.phases import rules_for
from mmload.show.flame_terminal import render_flame

LOOP = "main (mmload/standin/rank_process.py:91);Scheduler.event_loop (mmload/standin/rank.py:88)"
BUILD = f"{LOOP};Strategy.materialise (mmload/handoff/strategy.py:100);from_dict (mmload/standin/inputs.py:72)"
STACKS = {
    f"{BUILD};hash_feature (mmload/standin/inputs.py:82)": 340,
    BUILD: 90,
    f"{LOOP};Scheduler.run_batch (mmload/standin/rank.py:189)": 210,
    f"{LOOP};Scheduler.recv_requests (mmload/standin/rank.py:98);unpickle_object (mmload/standin/pickles.py:12)": 60,
    f"{LOOP};Scheduler.poll_for_work (mmload/standin/rank.py:40)": 120,
}
TOKENIZER = {
    f"serve (mmload/standin/app.py:3);{'a_very_long_name_' * 5} (mmload/standin/openai.py:9)": 150,
    "serve (mmload/standin/app.py:3)": 30,
}
ABOUT = ("standin TP 2", "images-small", "1,234 samples")


def profile(run_id, variant, *, hashes=1.0):
    def process(name, role, stacks, scale):
        counts = {stack: round(n * scale * (hashes if "hash" in stack else 1)) for stack, n in stacks.items()}
        costs = {stack: StackCost(n, n * 0.004, n * 0.004**2) for stack, n in counts.items() if n}
        return name, ProcessFlame(name=name, role=role, stacks=costs)

    processes = (
        process("scheduler_TP0", "scheduler", STACKS, 1.0),
        process("scheduler_TP1", "scheduler", STACKS, 0.9),
        process("tokenizer", "tokenizer", TOKENIZER, 1.0),
    )
    judge = Judge(rules_for("standin"), {})
    return FlameProfile(name=run_id, variant=variant, unit="cpu_ms_per_request", processes=dict(processes), judge=judge)


ORIGINAL = profile("20261120T031500Z-original-9f3c", "original")
OPTIMIZED = profile("20261120T041500Z-optimized-0a1b", "optimized", hashes=0.0)
ONE = flame_document(ORIGINAL, notes=["the server is mmload's stand-in, not SGLang"])
TWO = flame_document(OPTIMIZED, ORIGINAL)
SAME = flame_document(ORIGINAL, profile("20261120T051500Z-original-0002", "original"))


def view_of(document, *ids):
    views = [view for view in document.views if view.id in ids]
    return render_flame(document, views, 12, ABOUT)


VIEWS = {
    "flame": view_of(ONE, "scheduler_TP0", "scheduler_TP1", "tokenizer"),
    "flame-diff": view_of(TWO, "all-ranks", "tokenizer"),
    "flame-same": view_of(SAME, "all-ranks"),
}


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", VIEWS)
def test_a_flame_view_looks_as_it_did(name, width, golden):
    golden(f"{name}-{width}", drawn(VIEWS[name], width))


def test_a_flame_view_in_colour_looks_as_it_did(golden):
    golden("flame-80-colour", drawn(VIEWS["flame"], 80, colour="truecolor"))


def test_a_flame_view_in_ascii_looks_as_it_did(golden):
    golden("flame-80-ascii", drawn(VIEWS["flame"], 80, encoding="ascii"))


@pytest.mark.parametrize("width", [30, 60, 80, 140, 300])
@pytest.mark.parametrize("name", VIEWS)
def test_no_line_is_wider_than_the_terminal(name, width):
    assert max(map(len, drawn(VIEWS[name], width).splitlines())) <= width


def test_a_name_can_not_steer_the_terminal():
    hostile = "\x1b[31mred\x07\n[bold]not markup[/bold]\u202e"
    stacks = {f"{hostile} (x.py:1)": StackCost(10, 1.0, 0.1)}
    process = ProcessFlame(name="scheduler_TP0", role="scheduler", stacks=stacks)
    judge = Judge(rules_for("standin"), {})
    document = flame_document(
        FlameProfile(name="r", variant="v", unit="cpu_ms_per_s", processes={"scheduler_TP0": process}, judge=judge)
    )
    text = drawn(render_flame(document, document.views, 5), 120)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold]not markup[/bold]" in text
