"""A flame document as one HTML page, or as a part of a larger one."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from mmload.model.flame import FlameDocument
from mmload.show.page_data import asset, assets, embedded, html_page, page_css

FLAME_SCRIPTS = (  # each stands on those before it
    "flame_folds.js",
    "flame_tree.js",
    "flame_functions.js",
    "flame_words.js",
    "flame_search.js",
    "flame_colours.js",
    "flame_layout.js",
    "flame_state.js",
    "flame_keys.js",
    "flame_text.js",
    "flame_stage.js",
    "flame_legend.js",
    "flame_controls.js",
    "flame_columns.js",
    "flame_table.js",
    "flame_view.js",
    "flame_start.js",
)
_NO_SCRIPT = "This flame view is drawn by a script in this page, and scripts are turned off."
_HEADER = """<header class="page-header">
<div>
<h1>{title}</h1>
<p class="sides">{sides}</p>
</div>
<span data-theme-button></span>
</header>
"""


class FlameAssets(NamedTuple):
    css: str
    js: str


def flame_assets() -> FlameAssets:
    """What a page with flame views holds once, however many they are; page_css() and page.js come before it."""
    return FlameAssets(css=asset("flame.css"), js=assets(FLAME_SCRIPTS))


def flame_section(document: FlameDocument, id: str) -> str:  # noqa: A002  (it is the attribute's name)
    """A flame view and its data. id: small letters, digits and hyphens, one of its kind in the page, and the key of
    this view's state in the link. Raises ValueError where it is not."""
    return (
        f'<section class="flame" data-flame="{id}" aria-label="{escape(f"Flame view: {document.title}")}">'
        f"<noscript><p>{_NO_SCRIPT}</p></noscript></section>\n"
        f"{embedded(document, id)}"
    )


def flame_page(document: FlameDocument) -> str:
    """The whole page of one flame document; it opens from a file and asks for nothing."""
    css, js = flame_assets()
    header = _HEADER.format(title=escape(document.title), sides=_sides(document))
    return html_page(
        document.title,
        css=page_css() + css,
        js=f"{asset('page.js')}\n{js}",
        body=f"{header}<main>\n{flame_section(document, 'flame')}\n</main>",
    )


def _sides(document: FlameDocument) -> str:
    this = f"<code>{escape(document.this)}</code>"
    return this if document.base is None else f"{this} against <code>{escape(document.base)}</code>"
