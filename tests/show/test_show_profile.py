from __future__ import annotations

import msgspec
import pytest
from show_samples import drawn, manifest, summary

from mmload.model.manifest import ProfileFile, ProfileSegment
from mmload.model.result import Estimate, Looking
from mmload.show.terminal_summary import render_summary

LOOKING = Looking(
    sampling_pct=0.42,
    scraping_pct=0.13,
    driver_pct=3.1,
    py_spy_pct={"tokenizer": 7.94, "scheduler_TP0": 11.2, "scheduler_TP1": 0.0},
    load=Estimate(value=0.998, low=0.95, high=1.04),
    rate=Estimate(value=0.991, low=0.94, high=1.04),
    service_p50=Estimate(value=1.42, low=1.31, high=1.54),
    cpu_total={
        "tokenizer": Estimate(value=1.01, low=0.97, high=1.06),
        "scheduler_TP0": Estimate(value=0.93, low=0.9, high=None),
    },
)


def test_what_looking_cost_and_did_is_said_in_two_facts():
    shown = drawn(render_summary(summary(looking=LOOKING), manifest()), 200)
    assert (
        "driver 3.1 % of a core (sampling 0.4, scraping 0.1)   py-spy, while it profiled: tokenizer 7.9, TP0 11.2 %"
        in shown
    )
    assert (
        "times the measured window's:   load 1.00 (0.95 to 1.04)   answers 0.99 (0.94 to 1.04)   service p50 1.42 (1.31 to 1.54)"
        in shown
    )
    assert "CPU of TP0 (furthest off) 0.93 (0.90 and more)" in shown


def test_nothing_is_said_of_what_nobody_knows():
    shown = drawn(render_summary(summary(looking=Looking()), manifest()), 200)
    assert "looking" not in shown
    assert "profiled" not in shown


@pytest.mark.parametrize("width", [80, 140])
def test_a_profile_without_load_shows_where_the_cpu_went_and_what_was_poor(width):
    segments = [
        ProfileSegment(start_ns=1, end_ns=2, samples=812, errors=1, cpu_s=0.5),
        ProfileSegment(start_ns=None, end_ns=3, samples=0, errors=0, cpu_s=0.1, error="py-spy hung"),
    ]
    file = ProfileFile(
        process="scheduler_TP0",
        pid=4211,
        samples=812,
        errors=1,
        asked=1003,
        segments=segments,
        error="1 of 2 segments lost: py-spy hung",
    )
    alone = manifest(kind="profile")
    alone = msgspec.structs.replace(alone, profile=msgspec.structs.replace(alone.profile, files=[file]))
    view = render_summary(summary(kind="profile", requests=0, validity=["poor profile of scheduler_TP0"]), alone)
    shown = drawn(view, width)
    assert "20.0 s, without load" in shown
    assert "INVALID" in shown
    assert "CPU, % of a core" in shown
    for word in ("req/s", "latency", "outcomes", "mmload gate"):
        assert word not in shown
    (line,) = [line for line in shown.splitlines() if "4211" in line]
    assert line.startswith("  scheduler_TP0")
    assert "1,003" in line
    assert "1 of 2 segments lost" in line
