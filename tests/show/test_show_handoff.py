"""The tables of `mmload handoff`, from figures that are all different."""

import msgspec
import pytest
from handoff_made import CELL, observed
from show_samples import drawn

from mmload.judge.claims import report_of
from mmload.model.handoff import Cell
from mmload.plan.claims import Claim, Claims
from mmload.show.tables_handoff import cell_text, render_handoff

MODELLED = Cell(tp=4, size_bytes=2_000_000, batch=10, build_ms=500.0)
CLAIMS = Claims(
    name="notes",
    about="the notes",
    claims=[
        Claim(figure="wall_ms", variant="original", size_mb=100, value=50.73, tolerance=2, says="original: 50.73 ms"),
        Claim(figure="wall_ms", variant="commit", size_mb=100, value=301.53, tolerance=2, says="commit: 301.53 ms"),
        Claim(
            figure="wall_ms",
            variant="shm",
            versus="others",
            size_mb=100,
            op="<=",
            value=1,
            says="shm is the fastest of all at 100 MB",
        ),
        Claim(
            figure="throughput_rps",
            variant="commit",
            batch=10,
            build_ms=500.0,
            value=1.78,
            tolerance=1.03,
            says="commit, batches of 10: 1.78 req/s",
        ),
        Claim(figure="wall_ms", variant="delta", size_mb=7, value=1),
    ],
)


def spread(value):
    return [value * each for each in (0.9, 1.1, 1.02, 0.97, 1.05, 0.93)]


def seen(rounds=6):
    made = [
        *observed("original", spread(587.2), cpu_ms=822.5, build_ms=226.9),
        *observed("batch-broadcast", spread(668.1), cpu_ms=944.1, build_ms=55.6, received_bytes=700e6),
        *observed("commit", spread(885.6), cpu_ms=1252.7, build_ms=55.4, received_bytes=700e6),
        *observed("shm", spread(121.3), cpu_ms=131.8, build_ms=55.9, received_bytes=2560, shm_bytes=100e6),
        *observed("commit", spread(5077), cell=MODELLED, cpu_ms=148, build_ms=1.6, objects_built=10),
        *observed("original", spread(5081), cell=MODELLED, cpu_ms=122, build_ms=5.6, objects_built=40),
    ]
    return [each for each in made if each.round < rounds]


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", ["handoff", "handoff-colour", "handoff-early"])
def test_a_report_looks_as_it_did(name, width, golden):
    early = name == "handoff-early"
    report = report_of(seen(rounds=2 if early else 6), [CLAIMS], cores=2, complete=not early)
    colour = {"colour": "truecolor"} if name == "handoff-colour" else {}
    golden(f"{name}-{width}", drawn(render_handoff(report), width, **colour))


def test_a_wide_table_gives_every_figure_its_interval():
    report = report_of(seen(), [CLAIMS], cores=16, complete=True)
    heads = drawn(render_handoff(report), 200).splitlines()[0].split("  ")
    heads = [head.strip() for head in heads if head.strip()]
    for name in ("wall ms", "cpu ms", "build", "req/s", "moved MB"):
        assert heads[heads.index(name) + 1] == "interval"


def test_claims_that_nothing_was_measured_for_are_counted():
    report = report_of(observed("delta", [1.0] * 6), [CLAIMS], cores=16, complete=True)
    assert "claims: none of these cells; 5 of other cells or variants" in drawn(render_handoff(report), 80)


@pytest.mark.parametrize("width", [40, 80, 140, 200])
def test_no_line_is_wider_than_the_terminal(width):
    report = report_of(seen(), [CLAIMS], cores=2, complete=True)
    assert max(map(len, drawn(render_handoff(report), width).splitlines())) <= width


def test_a_cell_says_what_is_special_about_it():
    assert cell_text(CELL) == "TP 4, 100 MB"
    assert cell_text(MODELLED) == "TP 4, 2 MB x 10, build 500 ms"
    assert cell_text(msgspec.structs.replace(CELL, size_bytes=4000)) == "TP 4, 0.004 MB"
    assert cell_text(msgspec.structs.replace(CELL, collective="gloo")) == "TP 4, 100 MB, by gloo"
