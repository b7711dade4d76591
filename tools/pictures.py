"""Writes docs/images/: terminal views of stored runs as SVG, so that they can be made again when the views change.

    python tools/pictures.py RUN [CAMPAIGN]

RUN: the folder of a run, which is drawn as it ended. CAMPAIGN: the folder of a campaign that was judged, for its table.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import msgspec
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from mmload.analyse.timeline import timeline
from mmload.show.tables_verdict import render_verdict
from mmload.show.terminal_end import render_end
from mmload.show.terminal_sheet import Drawn
from mmload.store.campaigns import StoredCampaign
from mmload.store.read import Run

FOLDER = Path(__file__).parents[1] / "docs" / "images"
_WIDTH = 96  # cells: as wide as a page of text shows without a scroll bar
_FONT = "Menlo, Consolas, DejaVu Sans Mono, monospace"
_FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
    "Fira Code, monospace", _FONT
)  # nothing is loaded from elsewhere


def picture(view: Drawn, title: str, width: int = _WIDTH) -> str:
    """The view as SVG, the same for the same view."""
    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor", highlight=False
    )
    console.print(view)
    return console.export_svg(title=title, code_format=_FORMAT, unique_id="mmload")


def ending(run: Run) -> Drawn:
    """As `mmload run` ended, in the folder that runs have by default."""
    summary = msgspec.structs.replace(run.summary, run_dir=f"profiles/{run.run_id}")
    return render_end(summary, run.manifest, timeline(run), run.verdict)


def main(run: Path, campaign: Path | None = None) -> int:
    FOLDER.mkdir(exist_ok=True)
    pictures = {"run.svg": picture(ending(Run(run)), "mmload run")}
    if campaign is not None:
        verdict = StoredCampaign(campaign).verdict
        if verdict is None:
            print(f"{campaign} was never judged: mmload gate {campaign}", file=sys.stderr)
            return 2
        pictures["gate.svg"] = picture(render_verdict(verdict), "mmload gate")
    for name, svg in pictures.items():
        (FOLDER / name).write_text(svg, encoding="utf-8")
        print(f"{FOLDER / name}: {len(svg) / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    sys.exit(main(*map(Path, sys.argv[1:])))
