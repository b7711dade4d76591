"""What every view of a run says around its figures: can it be trusted, what was run, what stands out, what is next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from rich.text import Text

from mmload.model.manifest import Manifest
from mmload.model.result import Summary
from mmload.show.palette import EMPHASIS, LABEL, STATUS_STYLES, VERDICT_STYLES, WARNING
from mmload.show.terminal_figures import count, figure
from mmload.show.terminal_sheet import FLOW_GAP, LABEL_WIDTH, Sheet, fact, paragraph, styled

_DEFAULT_OUT = "profiles"


def trust(summary: Summary, manifest: Manifest, sheet: Sheet) -> Iterator[Text]:
    """Nothing for a complete and valid run; else what is wrong with it, loudly."""
    if summary.validity != "valid":
        style = f"reverse {VERDICT_STYLES['INVALID']}"
        yield styled((" INVALID ", style), " these figures say nothing about the server:")
        for reason in summary.validity:
            yield from paragraph(styled(reason), sheet, "  - ")
    if summary.status != "complete":
        style = f"reverse bold {STATUS_STYLES[summary.status]}"
        why = manifest.error or "the run has not come to its end; the figures are of what was measured"
        yield from paragraph(styled(why), sheet, styled((f" {summary.status.upper()} ", style), " "))


def what_was_run(summary: Summary, manifest: Manifest, sheet: Sheet) -> Iterator[Text]:
    """Variant, load, server and length in one fact."""
    server = styled(" ".join(filter(None, (summary.engine, manifest.engine_version))))
    if summary.engine == "standin":
        server = styled(("stand-in server: not SGLang", WARNING))
    load = summary.workload if summary.kind == "run" else "no load"
    items = [styled((summary.variant, "bold")), styled(load), server]
    if manifest.model:
        items.append(styled(manifest.model))
    if summary.tp is not None:
        items.append(styled(f"TP {summary.tp}"))
    if summary.duration_s and summary.kind == "run":
        items.append(styled(f"{count(summary.requests, 'request')} due in {figure(summary.duration_s)} s"))
    yield from fact("run", items, sheet)


def findings(summary: Summary, sheet: Sheet, most: int | None = None) -> Iterator[Text]:
    """What stands out, `most` sentences of it."""
    yield from _sentences(summary.findings, styled(("> ", EMPHASIS)), "findings", most, sheet)


def warnings(summary: Summary, manifest: Manifest, sheet: Sheet, most: int | None = None) -> Iterator[Text]:
    """Those of the manifest and of the summary, each once."""
    all_of_them = list(dict.fromkeys([*manifest.warnings, *summary.warnings]))
    yield from _sentences(all_of_them, styled(("! ", f"bold {WARNING}")), "warnings", most, sheet)


def _sentences(said: Sequence[str], lead: Text, what: str, most: int | None, sheet: Sheet) -> Iterator[Text]:
    for sentence in said[:most]:
        yield from paragraph(styled(sentence), sheet, lead)
    if most is not None and len(said) > most:
        yield lead + styled((f"and {len(said) - most} more {what}", LABEL))


def way_on(summary: Summary, manifest: Manifest, sheet: Sheet, *, in_short: bool = False) -> Iterator[Text]:
    """Where the run lies, and the commands that go on from it. in_short: not all of the summary has been shown."""
    yield from fact("run folder", [styled(summary.run_dir)], sheet)
    yield from next_steps(list(_steps(summary, manifest, in_short=in_short)), sheet)


def next_steps(steps: Sequence[tuple[str, str]], sheet: Sheet) -> Iterator[Text]:
    """steps: what to do, and what for."""
    wide = max((len(do) for do, _ in steps), default=0)
    has_room = LABEL_WIDTH + wide + FLOW_GAP + max((len(why) for _, why in steps), default=0) <= sheet.width
    for place, (do, why) in enumerate(steps):
        apart = " " * (wide - len(do) + FLOW_GAP)
        step = styled((do, EMPHASIS), (f"{apart}{why}" if has_room else "", LABEL))
        yield from paragraph(step, sheet, styled((("" if place else "next").ljust(LABEL_WIDTH), LABEL)))


def _steps(summary: Summary, manifest: Manifest, *, in_short: bool) -> Iterator[tuple[str, str]]:
    """What to do, and what for; what matters most is the last."""
    folder = PurePath(summary.run_dir)
    name = summary.run_id if folder == PurePath(_DEFAULT_OUT, summary.run_id) else summary.run_dir
    if in_short:
        yield f"mmload runs show {name}", "every figure"
    if manifest.profile.samples:
        yield f"mmload flame {name}", "where the CPU went"
    if summary.kind == "profile":
        return
    if summary.requests:
        yield f"mmload report {name}", "one page to pass on"
    if summary.validity != "valid":
        yield "mend what made it INVALID, then run again", ""
    elif summary.status == "failed":
        yield f"see {folder / 'logs'}", ""
    elif not summary.requests:
        yield "nothing was measured: run again", ""
    elif not (in_short and summary.gate):  # that gate judges it now
        yield f"mmload gate {name}{f' --gate {summary.gate}' if summary.gate else ''}", "whether to ship it"
