"""The end of a run: the two lines that matter, small charts of how they came about, and where to go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from rich.text import Text

from mmload.analyse.timeline import Timeline
from mmload.model.manifest import Manifest
from mmload.model.result import ProcessCpu, Summary, Verdict
from mmload.show.figures import overall_text
from mmload.show.palette import LABEL, OUTCOME_STYLES, VERDICT_STYLES
from mmload.show.terminal_about import findings, trust, warnings, way_on, what_was_run
from mmload.show.terminal_charts import bar
from mmload.show.terminal_cpu import phase_bars, phase_legend
from mmload.show.terminal_failures import most_frequent_failure
from mmload.show.terminal_headline import headline
from mmload.show.terminal_processes import in_order
from mmload.show.terminal_sheet import LABEL_WIDTH, Drawn, Sheet, fact, outcome_counts, paragraph, separated, styled
from mmload.show.terminal_timeline import timeline_in_short

_FINDINGS, _WARNINGS = 3, 6  # sentences
_BARS = 6  # processes


def render_end(
    summary: Summary, manifest: Manifest, timeline: Timeline | None = None, verdict: Verdict | None = None
) -> Drawn:
    """A summary in about 40 lines; all of it is `render_summary`. verdict: the last gate's, where there was one."""
    server = {name: cpu for name, cpu in in_order(summary.cpu).items() if cpu.phases}
    shown = _busiest(server, _BARS)

    def view(sheet: Sheet) -> Iterator[Text]:
        return separated(
            trust(summary, manifest, sheet),
            _top(summary, manifest, verdict, sheet),
            timeline_in_short(timeline, sheet) if timeline else [],
            chain(_outcomes(summary.outcomes, sheet), most_frequent_failure(summary, sheet)),
            _phases(shown, len(server) - len(shown), sheet),
            findings(summary, sheet, _FINDINGS),
            warnings(summary, manifest, sheet, _WARNINGS),
            way_on(summary, manifest, sheet, in_short=True),
        )

    return Drawn(view)


def _top(summary: Summary, manifest: Manifest, verdict: Verdict | None, sheet: Sheet) -> Iterator[Text]:
    yield from headline(summary, sheet)
    if verdict:
        word = (verdict.verdict, f"reverse {VERDICT_STYLES[verdict.verdict]}")
        lead = styled(("verdict".ljust(LABEL_WIDTH), LABEL), word, " ")
        yield from paragraph(styled(overall_text(verdict)), sheet, lead)
    yield from what_was_run(summary, manifest, sheet)


def _outcomes(outcomes: Mapping[str, int], sheet: Sheet) -> Iterator[Text]:
    """A bar for each kind that occurred, the longest that of the most frequent; without bars where all went alike."""
    occurred = {kind: number for kind, number in outcomes.items() if number}
    if len(occurred) <= 1:
        yield from fact("outcomes", outcome_counts(occurred) if occurred else [], sheet)
        return
    names, numbers = max(map(len, occurred)), max(len(f"{number:,}") for number in occurred.values())
    room, most = sheet.width - LABEL_WIDTH - names - numbers - 4, max(occurred.values())
    for place, (kind, number) in enumerate(occurred.items()):
        label = ("" if place else "outcomes").ljust(LABEL_WIDTH)
        drawn = (bar(number, most, room, sheet.glyphs), OUTCOME_STYLES.get(kind, ""))
        yield styled((label, LABEL), f"{kind.ljust(names)}  {number:{numbers},}  ", drawn)


def _busiest(cpu: Mapping[str, ProcessCpu], most: int) -> dict[str, ProcessCpu]:
    """Those of most CPU, in the order that they came in."""
    kept = sorted(cpu, key=lambda name: -cpu[name].total_pct)[:most]
    return {name: process for name, process in cpu.items() if name in kept}


def _phases(shown: Mapping[str, ProcessCpu], more: int, sheet: Sheet) -> Iterator[Text]:
    yield from phase_bars(shown, sheet)
    if more:
        yield styled((f"  and {more} more that burnt less", LABEL))
    yield from phase_legend(shown, sheet)
