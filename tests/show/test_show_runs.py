from __future__ import annotations

import math

import msgspec
import pytest
from show_samples import NO_QUANTILES, RUN_ID, card, drawn, manifest, quantiles, summary, verdict

from mmload.show.tables_run import render_run_show
from mmload.show.tables_runs import RunList, RunRow, render_runs
from mmload.show.tables_variants import render_variant, render_variants

NOW_NS = manifest().clock.utc_ns + 120 * 10**9


def test_a_run_without_a_summary_is_listed_with_what_is_known():
    row = RunRow.of(manifest(status="partial", validity=["why"]), None, None, NOW_NS)
    line = drawn(render_runs(RunList(rows=[row], matching=1, all_runs=1)), 140).splitlines()[1]
    assert line.split() == [
        *(RUN_ID, "2", "min", "optimized", "images-small", "2"),
        *("-", "-", "-", "partial", "INVALID", "-"),
    ]


@pytest.mark.parametrize(
    ("response", "p99_ms"),
    [(quantiles(1), 142.37), (NO_QUANTILES, None), (msgspec.structs.replace(quantiles(1), p99=None), math.inf)],
)
def test_an_infinite_p99_is_not_taken_for_a_missing_one(response, p99_ms):
    assert RunRow.of(manifest(), summary(response_ms=response), verdict(), NOW_NS).response_p99_ms == p99_ms


def test_an_empty_list_says_how_to_make_a_run():
    assert drawn(render_runs(RunList(rows=[], matching=0, all_runs=0))) == "no runs yet: mmload run makes one\n"


def test_a_run_that_was_killed_is_shown_from_its_manifest_alone():
    text = drawn(render_run_show(None, manifest(status="partial", validity=["a worker died"], error="killed")))
    for said in (RUN_ID, "partial", "INVALID", "! a worker died", "! killed", "4212", "py-spy died: signal 9"):
        assert said in text


def test_a_finished_run_is_shown_with_summary_and_verdict():
    text = drawn(render_run_show(summary(), manifest(), None, verdict()))
    assert text.index("sha256") < text.index("latency, ms") < text.index("criterion")


def test_every_variant_is_listed_and_its_card_says_all():
    cards = [card("commit"), card("batch-broadcast")]
    listed = drawn(render_variants(cards), 140)
    assert all(one.name in listed and one.about in listed for one in cards)
    shown = drawn(render_variant(cards[0]), 140)
    for said in msgspec.to_builtins(cards[0]).values():
        assert all(part in shown for part in ([said] if isinstance(said, str) else said))
