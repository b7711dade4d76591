"""Stacks grown into trees of functions, and trees added up."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse.flame import StackCost
from mmload.analyse.flame_tree import Frames, forest
from mmload.analyse.phases import Judge
from mmload.plan.phases import PHASES, PhaseRule, PhaseRules

# A phase hangs on a frame's line, on what called it and on whether it calls anything.
RULES = (
    PhaseRule(phase="hash", functions="f", line="alone", leaf=True),
    PhaseRule(phase="hash", functions="f", line="throughout"),
    PhaseRule(phase="pickle", functions="f", line="pickle"),
    PhaseRule(phase="receive", functions="g", under="f"),
    PhaseRule(phase="reply", functions="h", leaf=True),
)
SOURCE = {"a.py:1": "alone", "a.py:2": "throughout", "a.py:3": "pickle"}
FRAMES = (
    "f (a.py:1)",
    "f (a.py:2)",
    "f (a.py:3)",
    "f (a.py:4)",
    "g (b.py:5)",
    "h (b.py:6)",
    "k (b.py:7)",
    "k (b.py:8)",
)
JUDGE = Judge(PhaseRules(rules=RULES), SOURCE)

costs = st.builds(StackCost, st.integers(0, 1000), st.floats(0, 100), st.floats(0, 100))
stacks = st.dictionaries(st.lists(st.sampled_from(FRAMES), min_size=1, max_size=6).map(";".join), costs, max_size=30)


def nodes_of(grown, frames):
    """(the function and phase of a node and of all that called it) -> what it cost each side, own and total."""
    paths, found = [], {}
    for node, (parent, frame, phase) in enumerate(zip(grown.parent, grown.frame, grown.phase, strict=True)):
        paths.append((*(paths[parent] if parent >= 0 else ()), (frames.frames[frame], PHASES[phase])))
        found[paths[-1]] = np.array([part[:, node] for part in (*grown.own, *grown.total)])
    assert len(found) == len(paths)
    return found


def together(one, other):
    return {
        stack: StackCost(*np.add(one.get(stack, (0, 0, 0)), other.get(stack, (0, 0, 0))).tolist())
        for stack in one | other
    }


@given(stacks)
def test_a_stack_ends_in_a_node_of_its_phase_whichever_stack_was_met_first(found):
    grown = forest([[(found, JUDGE)]], Frames())
    by_stack = Counter()
    for stack, cost in found.items():
        by_stack[JUDGE.phase(stack)] += cost.samples
    by_node = Counter()
    for phase, samples in zip(grown.phase, grown.own.samples[0], strict=True):
        by_node[PHASES[phase]] += int(samples)
    assert +by_node == +by_stack


@given(stacks, stacks, stacks)
def test_processes_together_are_as_if_their_stacks_were_of_one(one, other, base):
    frames = Frames()
    apart = nodes_of(forest([[(one, JUDGE), (other, JUDGE)], [(base, JUDGE)]], frames), frames)
    merged = nodes_of(forest([[(together(one, other), JUDGE)], [(base, JUDGE)]], frames), frames)
    assert apart.keys() == merged.keys()
    assert all(np.allclose(apart[path], merged[path]) for path in apart)


@given(stacks, stacks)
def test_a_view_is_the_same_whatever_was_grown_before(one, other):
    alone, after = Frames(), Frames()
    forest([[(other, JUDGE)]], after)
    forest([[(other, JUDGE)], [(one, JUDGE)]], after)
    first, second = (nodes_of(forest([[(one, JUDGE)]], frames), frames) for frames in (alone, after))
    assert list(first) == list(second)
    assert all(np.array_equal(first[path], second[path]) for path in first)


def test_a_process_is_grown_once():
    frames, found = Frames(), {FRAMES[0]: StackCost(1, 1.0, 1.0)}
    assert frames.tree(found, JUDGE) is frames.tree(found, JUDGE)
    assert frames.tree(dict(found), JUDGE) is not frames.tree(found, JUDGE)
