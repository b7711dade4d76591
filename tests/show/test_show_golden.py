from __future__ import annotations

import math
import re

import msgspec
import pytest
from show_samples import RUN_ID, card, drawn, drawn_lines, live, manifest, summary, verdict, verdict_of_scenes
from show_timeline_samples import timeline

from mmload.errors import ServerError
from mmload.plan.workload import Image, Text, Workload
from mmload.show.live_frame import draw_frame
from mmload.show.tables_run import render_run_show
from mmload.show.tables_runs import RunList, RunRow, render_runs
from mmload.show.tables_variants import render_variant, render_variants
from mmload.show.tables_verdict import render_verdict
from mmload.show.tables_workloads import render_workloads
from mmload.show.terminal import render_error
from mmload.show.terminal_end import render_end
from mmload.show.terminal_sheet import Drawn
from mmload.show.terminal_summary import render_summary

RATES_RPS = [90 + 8 * math.sin(second / 3) - (60 if second % 17 == 0 else 0) for second in range(60)]
ROW = RunRow.of(manifest(), summary(), verdict(), manifest().clock.utc_ns + int(4000e9))
TITLE = "optimized, images-small, 100 req/s, TP 2, stand-in"

VIEWS = {
    "summary": render_summary(summary(), manifest()),
    "summary-invalid": render_summary(
        summary(
            status="failed",
            validity=["lag p99 of 48.1 ms is over the limit of 10 ms", "a worker stalled for 1,004 ms: limit 250 ms"],
        ),
        manifest(error="scheduler_TP1 (pid 4212) ended with signal 9"),
    ),
    "verdict": render_verdict(verdict()),
    "verdict-scenes": render_verdict(verdict_of_scenes()),
    "end": render_end(summary(), manifest(), timeline()),
    "end-judged": render_end(summary(outcomes={"ok": 2000}, failures=[]), manifest(warnings=[]), timeline(), verdict()),
    "runs": render_runs(
        RunList(
            rows=[
                ROW,
                msgspec.structs.replace(
                    ROW,
                    run_id="20261119T031500Z-rollback-0001",
                    variant="rollback",
                    age_s=90_000,
                    response_p99_ms=math.inf,
                    status="partial",
                    valid=False,
                    verdict=None,
                ),
                RunRow(run_id="20261118T031500Z-commit-0002", status="damaged"),
            ],
            matching=40,
            all_runs=1200,
        )
    ),
    "run-show": render_run_show(summary(), manifest(), None, verdict()),
    "run-show-killed": render_run_show(None, manifest(status="partial", engine_version=None, flags={}, phases=[])),
    "variants": render_variants([card("commit"), card("optimized", about="One sentence.", synchronisation="none")]),
    "workloads": render_workloads(
        [
            ("images-small", Workload(about="One 224 px JPEG a request.", rate_rps=100, items=(Image(),))),
            (
                "mix",
                Workload(about="Words, images and sounds.", rate_rps=2.5, items=(Text(weight=3), Image(), Image())),
            ),
            ("mine", Workload(about="The requests of mine.jsonl.", rate_rps=10, dataset="mine.jsonl")),
        ]
    ),
    "variant": render_variant(card("commit")),
    "live": Drawn(lambda sheet: draw_frame(live(), TITLE, RATES_RPS, sheet)),
    "error": render_error(ServerError(f"profiles/{RUN_ID} is damaged", "make the run again")),
}


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_without_colour_looks_as_it_did(name, width, golden):
    golden(f"{name}-{width}", drawn(VIEWS[name], width))


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_in_colour_looks_as_it_did(name, width, golden):
    golden(f"{name}-{width}-colour", drawn(VIEWS[name], width, colour="truecolor"))


@pytest.mark.parametrize("name", ["summary", "end", "live", "verdict-scenes"])
def test_a_view_in_ascii_looks_as_it_did(name, golden):
    golden(f"{name}-80-ascii", drawn(VIEWS[name], 80, encoding="ascii"))


def test_a_run_ends_well_on_a_narrow_terminal(golden):
    golden("end-60", drawn(VIEWS["end"], 60))


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("name", [name for name, view in VIEWS.items() if isinstance(view, Drawn)])
def test_nothing_is_cut_off_at_the_edge_of_the_terminal(name, width):
    assert [line for line in drawn_lines(VIEWS[name], width) if len(line) > width] == []


@pytest.mark.parametrize("name", VIEWS)
def test_colour_changes_nothing_but_what_the_phases_are_drawn_with(name):
    plain = drawn(VIEWS[name], 80).splitlines()
    coloured = re.sub(r"\x1b\[[0-9;]*m", "", drawn(VIEWS[name], 80, colour="truecolor")).splitlines()
    assert len(plain) == len(coloured)
    assert [one for one, other in zip(plain, coloured, strict=True) if one != other and "▇" not in other] == []
