"""What looking cost and what it did to the server, in two facts of the terminal's summary."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from mmload.model.result import Estimate, Looking
from mmload.show.palette import LABEL
from mmload.show.terminal_figures import figure, figures
from mmload.show.terminal_processes import short_name
from mmload.show.terminal_sheet import Sheet, fact, styled


def looking_facts(looking: Looking, sheet: Sheet) -> Iterator[Text]:
    """Nothing of what nobody knows."""
    yield from fact("looking", _costs(looking), sheet)
    yield from fact("profiled", _effects(looking), sheet)


def _costs(looking: Looking) -> list[Text]:
    """Percent of one core."""
    items = []
    if looking.driver_pct is not None:
        driver, sampling, scraping = (
            figure(pct, most=1) for pct in (looking.driver_pct, looking.sampling_pct, looking.scraping_pct)
        )
        items.append(styled(f"driver {driver} % of a core (sampling {sampling}, scraping {scraping})"))
    spent_pct = {name: pct for name, pct in looking.py_spy_pct.items() if pct}
    if spent_pct:
        shown = zip(spent_pct, figures(spent_pct.values(), most=1), strict=True)
        items.append(
            styled("py-spy, while it profiled: ", ", ".join(f"{short_name(name)} {pct}" for name, pct in shown), " %")
        )
    return items


def _effects(looking: Looking) -> list[Text]:
    """The profile window's figures over those of the measured one."""
    named = (("load", looking.load), ("answers", looking.rate), ("service p50", looking.service_p50))
    items = [_effect(name, ratio) for name, ratio in named if ratio]
    for title, ratios in (("CPU", looking.cpu_total), ("CPU a request", looking.cpu_per_request)):
        if ratios:
            name = max(ratios, key=lambda name: abs(ratios[name].value - 1))
            items.append(_effect(f"{title} of {short_name(name)} (furthest off)", ratios[name]))
    return [styled(("times the measured window's:", LABEL)), *items] if items else []


def _effect(name: str, ratio: Estimate) -> Text:
    span = f"{ratio.low:.2f} and more" if ratio.high is None else f"{ratio.low:.2f} to {ratio.high:.2f}"
    return styled((name, LABEL), f" {ratio.value:.2f}", (f" ({span})", LABEL))
