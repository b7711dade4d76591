"""A report as one HTML page: the templates in mmload/show/page/ write out what report_views.py lays out."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from mmload import __version__
from mmload.judge.report import Report
from mmload.show.flame_page import flame_assets, flame_section
from mmload.show.page_data import asset, assets, embedded, html_page, page_css
from mmload.show.report_views import page_view, title_of
from mmload.show.terminal_figures import plain

_STYLES = ("chart.css", "report.css")
_SCRIPTS = ("chart_scale.js", "chart_axis.js", "chart_legend.js", "chart_time.js", "chart_curve.js", "report.js")


def report_page(report: Report) -> str:
    """The whole page: no network, no file beside it; every text in it escaped."""
    css, js = flame_assets()
    page = page_view(report)
    flames = [
        (plain(document.title), Markup(flame_section(document, f"flame-{place}")))  # noqa: S704 (escaped where it is made)
        for place, document in enumerate(report.flames)
    ]
    data = Markup(embedded(page.plots, "report-plots"))  # noqa: S704 (base64)
    body = _templates().get_template("report.html").render(page=page, flames=flames, data=data, version=__version__)
    return html_page(
        f"mmload report: {title_of(report)}",
        css=f"{page_css()}{css}{assets(_STYLES)}",
        js=f"{asset('page.js')}\n{js}\n{assets(_SCRIPTS)}",
        body=body,
    )


@cache
def _templates() -> Environment:
    return Environment(
        loader=FunctionLoader(asset), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
