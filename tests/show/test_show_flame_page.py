"""The page of a flame view as text: small, asking for nothing, strangers' names only as data."""

import base64
import hashlib
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_flames import Planter, Stack

from mmload.model.flame import FlameDocument
from mmload.show import flame_page as module
from mmload.show.flame_page import flame_assets, flame_page, flame_section
from mmload.show.page_data import asset, embedded, html_page, page_css
from mmload.show.palette import PHASE_COLOURS

PAGE = Path(module.__file__).parent / "page"
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&"


def document(name=HOSTILE, **fields):
    planter = Planter()
    stacks = [Stack((f"{name} (a.py)",), 3)]
    return planter.document([planter.view("all-ranks", stacks)], title=name, this=name, **fields)


class Tags(HTMLParser):
    """What a browser makes of a page: its tags with attributes, and the texts of its scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], {"script": [], "style": [], "title": []}
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside in self.texts:
            self.texts[self.inside].append(data)


def data_of(text, id_="flame"):
    block = re.search(rf'<script type="text/plain" id="{id_}">([A-Za-z0-9+/=]+)</script>', text)
    return msgspec.json.decode(zlib.decompress(base64.b64decode(block[1])), type=FlameDocument)


def test_a_page_is_small_without_its_data():
    assert len(flame_page(document("a")).encode()) < 120_000


def test_a_page_names_no_other_place():
    text = flame_page(document("a"))
    assert not re.search(
        r"https?:|//[a-z]+\.|url\(|@import|\bimport\b|fetch\(|XMLHttpRequest|WebSocket|sendBeacon", text
    )


def test_a_page_may_run_its_own_script_and_nothing_else():
    tags = Tags(flame_page(document()))
    (policy,) = [found["content"] for tag, found in tags.tags if tag == "meta" and "http-equiv" in found]
    script, style = tags.texts["script"][0], tags.texts["style"][0]
    for name, text in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_no_script_makes_markup_or_code_of_text():
    for file in PAGE.glob("*.js"):
        text = re.sub(r"//.*", "", file.read_text())
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", text
        ), file.name


def test_every_script_is_strict_and_in_the_page():
    for name in ("page.js", *module.FLAME_SCRIPTS):
        assert asset(name).startswith('"use strict";')
    assert {file.name for file in PAGE.glob("flame*.js")} == set(module.FLAME_SCRIPTS)


def test_strangers_names_are_data_or_escaped():
    text = flame_page(document())
    tags = Tags(text)
    assert [tag for tag, _ in tags.tags].count("script") == 2
    assert "img" not in [tag for tag, _ in tags.tags]
    assert HOSTILE not in text
    assert tags.texts["title"] == [HOSTILE]
    assert data_of(text).frames[0].function == HOSTILE


@given(st.text(max_size=200))
def test_what_goes_into_a_page_comes_out_of_it(name):
    assert data_of(flame_section(document(name), "flame")) == document(name)


def test_several_views_stand_in_one_page():
    sections = flame_section(document("a"), "flame-0") + flame_section(document("b"), "flame-1")
    css, js = flame_assets()
    text = html_page("two", css=page_css() + css, js=asset("page.js") + js, body=sections)
    assert [data_of(text, f"flame-{i}").title for i in (0, 1)] == ["a", "b"]


@pytest.mark.parametrize("id_", ["", "A", "a b", 'a"', "a.b", "é", "1"])
def test_an_id_is_a_plain_word(id_):
    with pytest.raises(ValueError, match="id in a page"):
        embedded(b"{}", id_)


def test_every_phase_has_its_colour_in_the_page():
    for phase, colour in PHASE_COLOURS.items():
        assert f"--phase-{phase}:{colour};" in page_css()
