"""What every HTML page of mmload is made of: one file that asks for nothing, and data that can't become markup.

Names in the data are strangers' (frames, error texts, models). They enter a page as base64 of compressed JSON only, or
through html.escape; in the browser they reach the document as text, never as markup.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Iterable
from functools import cache
from html import escape
from importlib import resources

import msgspec

from mmload.show.palette import PHASE_COLOURS

_ID = re.compile(r"[a-z][a-z0-9-]*")
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{css}</style>
<script>{js}</script>
</head>
<body>
{body}
</body>
</html>
"""


@cache
def asset(name: str) -> str:
    """The text of a file of mmload/show/page/. Raises FileNotFoundError."""
    return (resources.files("mmload.show") / "page" / name).read_text(encoding="utf-8")


def assets(names: Iterable[str]) -> str:
    """Several of them, one after the other."""
    return "\n".join(asset(name) for name in names)


def embedded(document: msgspec.Struct | bytes, id: str) -> str:  # noqa: A002  (it is the attribute's name)
    """A block of a page that mmload.readEmbedded(id) reads: a struct as JSON, or JSON as it is; no markup in it.

    Raises ValueError where `id` is more than small letters, digits and hyphens.
    """
    if not _ID.fullmatch(id):
        raise ValueError(f"an id in a page has small letters, digits and hyphens: {id!r}")
    json = document if isinstance(document, bytes) else msgspec.json.encode(document)
    data = base64.b64encode(zlib.compress(json, level=7)).decode("ascii")
    return f'<script type="text/plain" id="{id}">{data}</script>'


def page_css() -> str:
    """What all pages look like: page.css, and the phases' colours as `--phase-NAME`."""
    colours = "".join(f"--phase-{phase}:{colour};" for phase, colour in PHASE_COLOURS.items())
    return f"{asset('page.css')}\n:root{{{colours}}}\n"


def html_page(title: str, *, css: str, js: str, body: str) -> str:
    """A whole page. title: plain text; body: markup, all of its text escaped; css and js: page_css() and page.js first.

    The page may ask for nothing at all, run no script but `js`, and take no style but `css` (no style attributes).
    """
    policy = (
        f"default-src 'none'; script-src '{_digest(js)}'; style-src '{_digest(css)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return _PAGE.format(policy=policy, title=escape(title), css=css, js=js, body=body)


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
