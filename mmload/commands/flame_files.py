"""What `mmload flame` writes: a page, a picture, and the formats of other tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Literal

from mmload.analyse.flame_document import ALL_RANKS, is_rank
from mmload.commands.flame_choice import Side
from mmload.model.flame import FlameDocument, FlameView
from mmload.store.read import Run

Format = Literal["html", "svg", "speedscope", "folded"]

ENDINGS: dict[Format, str] = {"html": ".html", "svg": ".svg", "speedscope": ".speedscope.json", "folded": ".folded"}


def file_name(form: Format, sides: Sequence[Side], part: Sequence[str], *, slow: bool) -> str:
    """A run's lie in its own folder, and do not need its name. part: what of it is shown, empty for all."""
    words = ["flame"] if len(sides[0].runs) == 1 else ["flame", sides[0].name]
    words += ["slow"] if slow else []
    for base in sides[1:]:
        is_beside = len(base.runs) == 1 or base.folder == sides[0].folder
        words += ["against", base.name if is_beside else f"{base.folder.name}-{base.name}"]
    return f"{'-'.join([*words, *part])}{ENDINGS[form]}"


def file_text(form: Format, sides: Sequence[Side], document: FlameDocument) -> str:
    """document: with the views that are wanted, which decide over the processes in the formats of other tools."""
    match form:
        case "html":
            from mmload.show.flame_page import flame_page  # noqa: PLC0415

            return flame_page(document)
        case "svg":
            from mmload.show.flame_svg import flames_svg  # noqa: PLC0415

            return flames_svg(document.views, document)
        case "speedscope":
            from mmload.show.speedscope import speedscope  # noqa: PLC0415

            runs = sides[0].runs
            return speedscope(document.this, _stacks(runs, document.views), runs[0].manifest.profile.rate_hz)
        case "folded":
            return "".join(_folded([_stacks(side.runs, document.views) for side in sides]))


def _folded(sides: Sequence[dict[str, Counter[str]]]) -> list[str]:
    """`process;stack samples`; of a difference the base's before this side's, as difffolded.pl writes them."""
    this, *base = sides
    if not base:
        return [f"{name};{stack} {count}\n" for name, counts in this.items() for stack, count in counts.items()]
    names = dict.fromkeys([*this, *base[0]])
    counts = {name: (base[0].get(name, Counter[str]()), this.get(name, Counter[str]())) for name in names}
    return [
        f"{name};{stack} {before[stack]} {after[stack]}\n"
        for name, (before, after) in counts.items()
        for stack in dict.fromkeys([*after, *before])
    ]


def _stacks(runs: Sequence[Run], views: Sequence[FlameView]) -> dict[str, Counter[str]]:
    """Of the processes in the views the samples of all runs."""
    ids = {view.id for view in views}
    stacks: dict[str, Counter[str]] = {}
    for name, counts in chain.from_iterable(run.stacks.items() for run in runs):
        if name in ids or (ALL_RANKS in ids and is_rank(name)):
            stacks.setdefault(name, Counter()).update(counts)
    return stacks
