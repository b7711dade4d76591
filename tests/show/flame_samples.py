"""A flame document made up for drawing, alone and against another side."""

from __future__ import annotations

from mmload.model.flame import FlameDocument, FlameFrame, FlameNodes, FlameView

FRAMES = [
    FlameFrame("event_loop", "mmload/standin/rank.py", "mmload"),
    FlameFrame("recv_requests", "mmload/standin/rank.py", "mmload"),
    FlameFrame("from_dict", "mmload/standin/inputs.py", "mmload"),
    FlameFrame("hash_feature", "mmload/standin/inputs.py", "mmload"),
    FlameFrame("seldom", "elsewhere.py", ""),
]
NODES = FlameNodes(
    up=[0, 1, 2, 1, 4, 5],
    frame=[0, 1, 2, 3, 4, 4],
    phase=[2, 0, 1, 2, 2, 2],
    samples=[3, 120, 250, 600, 1, 1],
    value=[4_000, 160_000, 330_000, 800_000, 300, 200],
)
DIFFERENCE = FlameNodes(
    **{name: getattr(NODES, name) for name in ("up", "frame", "phase", "samples", "value")},
    base_samples=[3, 121, 40, 0, 1, 1],
    base_value=[4_100, 161_000, 54_000, 0, 300, 200],
    word=[1, 0, 1, 3, 0, 0],
)


def view(**changes: object) -> FlameView:
    given = {
        "id": "scheduler_TP0",
        "label": "TP0",
        "about": "the entry rank",
        "samples": sum(NODES.samples),
        "value_ms": sum(NODES.value) * 1e-5,
        "nodes": NODES,
    }
    return FlameView(**given | changes)


def document(**changes: object) -> FlameDocument:
    given = {
        "title": "original, images-small, 100 req/s, TP 2, stand-in",
        "notes": ["This is the stand-in, not SGLang."],
        "unit": "cpu_ms_per_request",
        "this": "20261120T031500Z-original-9f3c",
        "phases": ["receive", "materialise", "hash"],
        "frames": FRAMES,
        "views": [view()],
    }
    return FlameDocument(**given | changes)


def difference() -> FlameDocument:
    base = sum(DIFFERENCE.base_samples), sum(DIFFERENCE.base_value) * 1e-5
    changed = view(nodes=DIFFERENCE, base_samples=base[0], base_value_ms=base[1])
    return document(base="20261120T031500Z-commit-77aa", views=[changed])
