"""The pictures of the documentation."""

import re
import xml.etree.ElementTree as ET

from pictures import picture
from show_samples import manifest, summary
from show_timeline_samples import timeline

from mmload.show.terminal_end import render_end

END = render_end(summary(), manifest(), timeline())


def test_a_picture_holds_what_the_terminal_shows_and_loads_nothing():
    svg = picture(END, "mmload run")
    text = "".join(ET.fromstring(svg).itertext()).replace("\xa0", " ")
    assert "busiest rank" in text
    assert "@font-face" not in svg
    assert set(re.findall(r"https?://[^\"' ]+", svg)) == {"http://www.w3.org/2000/svg", "https://www.textualize.io"}


def test_the_same_view_is_the_same_picture():
    assert picture(END, "mmload run") == picture(END, "mmload run")
