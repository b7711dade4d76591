from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import msgspec
import pytest
from flame_samples import FRAMES, difference, document, view
from hypothesis import given
from hypothesis import strategies as st

from mmload.model.flame import FlameFrame, FlameNodes
from mmload.plan.phases import PHASES
from mmload.show.flame_boxes import picture, totals
from mmload.show.flame_colours import difference_colour, ink_on, luminance, phase_colour
from mmload.show.flame_svg import flame_svg, flames_svg

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def tooltips(svg: str) -> list[str]:
    return [group.findtext(f"{SVG}title", "") for group in ET.fromstring(svg).iter(f"{SVG}g")]


@st.composite
def trees(draw: st.DrawFn) -> FlameNodes:
    parents = [draw(st.integers(-1, place - 1)) for place in range(draw(st.integers(0, 30)))]
    # in preorder a node's parent is its predecessor or one of that one's ancestors
    for place in range(1, len(parents)):
        line = [place - 1]
        while parents[line[-1]] >= 0:
            line.append(parents[line[-1]])
        parents[place] = -1 if parents[place] < 0 else line[parents[place] % len(line)]
    count = len(parents)
    amounts = st.lists(st.integers(0, 100_000), min_size=count, max_size=count)
    up = [place - parent if parent >= 0 else 0 for place, parent in enumerate(parents)]
    own = draw(amounts)
    return FlameNodes(up=up, frame=[0] * count, phase=[0] * count, samples=own, value=own, base_value=draw(amounts))


@pytest.mark.parametrize("name", ["flame-svg", "flame-svg-difference"])
def test_a_picture_looks_as_it_did(name, golden):
    drawn = document() if name == "flame-svg" else difference()
    golden(name, flame_svg(drawn.views[0], drawn, 800))


def test_all_views_of_a_document_stand_in_one_picture():
    one, other = view(label="TP0"), view(id="scheduler_TP1", label="TP1")
    svg = flames_svg([one, other], document(views=[one, other]))
    assert [text for text in texts(svg) if text in ("TP0", "TP1")] == ["TP0", "TP1"]
    assert len(tooltips(svg)) == 2 * len(tooltips(flame_svg(one, document())))


def test_a_tooltip_says_what_a_frame_stands_for():
    about = next(text for text in tooltips(flame_svg(view(), document())) if text.startswith("from_dict"))
    assert about == (
        "from_dict (mmload/standin/inputs.py)\n11.3 CPU ms per request (87.3 %), 3.30 in the function itself\n"
        "850 samples, phase materialise"
    )


@pytest.mark.parametrize(
    "hostile",
    ["<script>alert(1)</script>", '"><rect onclick="x"/>', "a;b & c", "\x00\x1b[31m\ud800\ufffe", "]]>", "漢字" * 40],
)
def test_hostile_names_neither_break_nor_execute(hostile):
    frames = [FlameFrame(hostile, hostile, hostile), *FRAMES[1:]]
    drawn = document(title=hostile, notes=[hostile], this=hostile, base=hostile, frames=frames)
    svg = flame_svg(view(label=hostile, about=hostile), drawn)
    known = {f"{SVG}{tag}" for tag in ("svg", "title", "style", "text", "rect", "g")}
    assert {element.tag for element in ET.fromstring(svg).iter()} == known
    assert not [name for element in ET.fromstring(svg).iter() for name in element.attrib if name.startswith("on")]


def test_a_label_stays_within_its_frame():
    frames = [msgspec.structs.replace(frame, function="漢字のとても長い名前" * 9) for frame in FRAMES]
    for group in ET.fromstring(flame_svg(view(), document(frames=frames), 500)).iter(f"{SVG}g"):
        text = group.findtext(f"{SVG}text", "")
        assert 6.7 * 2 * len(text.rstrip("…")) <= float(group.find(f"{SVG}rect").get("width"))


def test_frames_too_narrow_to_be_seen_are_drawn_as_one_and_said():
    many = FlameNodes(
        up=[0, *range(1, 1001)],
        frame=[0] * 1001,
        phase=[0] * 1001,
        samples=[9000] + [1] * 1000,
        value=[9_000_000] + [1000] * 1000,
    )
    svg = flame_svg(view(nodes=many), document(), 1020)
    assert any("1,000 narrow frames, 10.0 % of the width" in text for text in texts(svg))
    assert len(tooltips(svg)) == 2
    assert "1,000 narrow frames, 10.0 CPU ms per request together" in tooltips(svg)


def test_an_empty_view_is_drawn_as_nothing():
    empty = FlameNodes(up=[], frame=[], phase=[], samples=[], value=[])
    assert tooltips(flame_svg(view(nodes=empty, samples=0, value_ms=0.0), document())) == []


@given(trees())
def test_no_frame_reaches_beyond_what_called_it(nodes):
    drawn = picture(nodes, totals(nodes), 1000.0, 0.3)
    rows: dict[int, list[tuple[float, float]]] = {}
    for box in drawn.boxes:
        rows.setdefault(box.depth, []).append((box.x, box.x + box.width))
    for depth, spans in rows.items():
        spans.sort()
        assert all(one[1] <= other[0] + 1e-6 for one, other in pairwise(spans))
        above = rows.get(depth - 1, [(0.0, 1000.0)])
        assert all(any(x - 1e-6 <= low and high <= y + 1e-6 for x, y in above) for low, high in spans)


@given(trees())
def test_every_frame_is_drawn_or_counted_as_narrow(nodes):
    drawn = picture(nodes, totals(nodes), 1000.0, 0.3)
    alone = [box.node for box in drawn.boxes if box.node is not None]
    assert len(set(alone)) == len(alone)
    assert len(alone) + drawn.narrow == len(nodes.up)


@given(trees())
def test_a_root_sums_up_to_its_view(nodes):
    sums, roots = totals(nodes), [place for place, up in enumerate(nodes.up) if not up]
    assert int(sums.samples[roots].sum()) == sum(nodes.samples)
    assert float(sums.base_ms[roots].sum()) == pytest.approx(sum(nodes.base_value) * 1e-5)


def test_words_on_every_colour_can_be_read():
    colours = [phase_colour(phase) for phase in PHASES]
    colours += [difference_colour(sign * part, 8.0) for part in range(1, 9) for sign in (1, -1)]
    for colour in colours:
        dark, light = sorted((luminance(colour), luminance(ink_on(colour))))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, colour


def test_a_difference_is_the_stronger_the_larger_it_is():
    assert luminance(difference_colour(8, 8)) < luminance(difference_colour(1, 8))
    assert luminance(difference_colour(-8, 8)) < luminance(difference_colour(-1, 8))


def test_what_is_within_noise_is_grey_and_what_is_on_one_side_has_a_dashed_edge():
    svg = flame_svg(difference().views[0], difference())
    shapes = {title.partition(" ")[0]: rect for title, rect in re.findall(r"<title>([^<]*)</title>(<rect[^>]*>)", svg)}
    assert "#a9adb3" in shapes["recv_requests"]
    assert "one-side" in shapes["hash_feature"]
    assert "one-side" not in shapes["from_dict"]
