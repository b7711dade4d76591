"""Rows that a gate or a comparison decides by its figures."""

from __future__ import annotations

import re

import msgspec

from mmload.model.comparison import ComparedSide, Difference
from mmload.selftest import plants
from mmload.selftest.seen import Seen, by_gate
from mmload.selftest.workbench import Pair, Setup, Workbench, compared, judged
from mmload.store.read import Run

SLOW_START = Setup(variant=plants.SlowStart.name, rate_rps=100, warmup_s=2, duration_s=4)
_SAME = "original#2"
_CLEAN = Setup(duration_s=5)
_NO_LEAK = "rss_growth_mb_per_h < 5000"
_NEAR = 0.01  # a planted ratio is known to a point: what else a response takes is the host's
_TO_FAIL = 4_050  # requests with one error in 500 that show, exactly binomial, a rate above 0.1 %
_WIDE = ("response_p99_ms < 500", "error_rate < 0.05", "qps > 100", "cpu_total_pct < 90")
_NO_WORSE = ("response_p99_ratio < 1.25", "qps_ratio > 0.95", "cpu_per_request_ratio < 1.25", "outputs_identical == 1")


def clean_gate(bench: Workbench) -> Seen:
    results = [judged(check, [clean_run(bench)], design_effect=1) for check in _WIDE]
    worst = next((result for result in results if result.verdict != "PASS"), results[0])
    return by_gate(worst, "PASS")


def same_variant(bench: Workbench) -> Seen:
    """One run of each says nothing of how two starts differ: then it is the gate that must find no regression, with its
    margins. In a comparison of rounds a difference must be seen twice, of the same figure and to the same side: once in
    twenty it is chance."""
    if bench.quick:
        return _no_regression(*bench.pair(_same(bench)))
    side = _same_side(bench)
    found = _differences(side)
    if found:
        bench.forget(_same(bench))
        side = _same_side(bench)
        found &= _differences(side)
    shown = [text for each in side.differences if (text := _improvement(each))]
    came = " and ".join(sorted(found)) or "no difference seen"
    seen = Seen(came=came, reason="; ".join([*shown, f"answers {side.answers}"]))
    if side.answers != "identical":
        return seen.but(f"its answers are {side.answers}: {side.answers_why}")
    return seen.but("there is no difference, and it was seen twice" if found else None)


def clean_memory(bench: Workbench) -> Seen:
    return by_gate(judged(_NO_LEAK, [clean_run(bench)]), "PASS")


def slow_tail(bench: Workbench) -> Seen:
    baseline, candidate = bench.pair(
        Pair(
            load=Setup(duration_s=8, rate_rps=250),
            baseline=plants.Tail.name,
            candidate=plants.SlowTail.name,
            rounds=1 if bench.quick else 3,
        )
    )
    result = judged("response_p99_ratio < 1.05 vs planted-tail", candidate, {plants.Tail.name: baseline})
    side = compared(candidate, baseline)
    (shown,) = [each for each in side.differences if each.figure == "response_p99_ms"]
    truth = -_true_slowdown(baseline[0])
    seen = by_gate(result, "FAIL").also(_improvement(shown))
    if shown.low is None or shown.high is None:
        return seen.but("no improvement is shown")
    covered = shown.low - _NEAR <= truth <= shown.high + _NEAR
    return seen.but(None if covered else f"the improvement shown does not cover the truth, {truth:+.1%}")


def errors(bench: Workbench) -> Seen:
    quick = bench.quick
    run = bench.valid(Setup(variant=plants.Errors.name, rate_rps=200 if quick else 300, duration_s=5 if quick else 20))
    result = judged("error_rate < 0.001", [run], design_effect=1)
    seen = by_gate(result, "INCONCLUSIVE" if quick else "FAIL")
    share = 1 / plants.ERRORS_EVERY
    seen = seen.but(None if result.value == share else f"{share:.1%} of the requests failed")
    if not quick:
        return seen
    said = re.search(r"at the present figures ([\d,]+) more .*to FAIL", result.needed or "")
    more = int(said[1].replace(",", "")) if said else 0
    wanted = _TO_FAIL - result.n
    near = abs(more - wanted) <= plants.ERRORS_EVERY
    return seen.but(None if near else f"at these figures about {wanted:,} more requests decide")


def leak(bench: Workbench) -> Seen:
    run = bench.valid(msgspec.structs.replace(_CLEAN, variant=plants.Leak.name))
    result = judged(_NO_LEAK, [run])
    truth = plants.LEAK_BYTES * _CLEAN.rate_rps * 3600 / 1e6
    seen = by_gate(result, "FAIL").saying(f"highest: scheduler_TP{plants.LEAKING_RANK}")
    near = abs((result.value or 0) - truth) < 0.1 * truth
    return seen.but(None if near else f"{truth:,.0f} MB an hour were kept")


def wrong_output(bench: Workbench) -> Seen:
    run = bench.valid(msgspec.structs.replace(_CLEAN, variant=plants.WrongOutput.name))
    result = judged("outputs_identical == 1 vs original", [run], {"original": [clean_run(bench)]})
    sent = sorted(run.requests.identity, key=lambda record: record.due_ns)
    planted = sorted(sent[place].item for place in plants.WRONG_OUTPUTS)
    named = sorted(difference.item for difference in result.differences)
    seen = by_gate(result, "FAIL")
    return seen.but(None if named == planted else f"the wrong answers are those to {', '.join(planted)}")


def slow_start(bench: Workbench) -> Seen:
    return by_gate(judged("response_p99_ms < 250", [bench.valid(SLOW_START)], design_effect=1), "PASS")


def clean_run(bench: Workbench) -> Run:
    """The first of those that nothing was done to."""
    baseline, _ = bench.pair(_same(bench))
    return baseline[0]


def _same(bench: Workbench) -> Pair:
    return Pair(load=_CLEAN, baseline="original", candidate=_SAME, rounds=1 if bench.quick else 4)


def _no_regression(baseline: list[Run], candidate: list[Run]) -> Seen:
    results = [judged(f"{check} vs original", candidate, {"original": baseline}) for check in _NO_WORSE]
    failed = next((result for result in results if result.verdict == "FAIL"), None)
    if failed is not None:
        return by_gate(failed, "no FAIL")
    words = (f"{result.metric} {result.op} {result.limit:g}: {result.verdict}" for result in results)
    return Seen(came="no FAIL", reason="; ".join(words))


def _same_side(bench: Workbench) -> ComparedSide:
    baseline, candidate = bench.pair(_same(bench))
    return compared(candidate, baseline)


def _differences(side: ComparedSide) -> set[str]:
    return {f"{each.figure} ({each.word})" for each in side.differences if each.word in ("better", "worse")}


def _improvement(of: Difference) -> str:
    """Empty where the bounds are so wide that they say nothing."""
    if of.improvement is None or of.low is None or of.high is None or of.high - of.low > 1:
        return ""
    return f"{of.figure} improved by {of.improvement:+.1%} ({of.low:+.1%} to {of.high:+.1%})"


def _true_slowdown(baseline: Run) -> float:
    """By what share P99 was raised: the planted delays, and the rest of a response, which is the same for both."""
    rest_s = (baseline.summary.response_ms.p50 or 0.0) / 1e3
    return (plants.SLOW_TAIL_DELAY_S + rest_s) / (plants.TAIL_DELAY_S + rest_s) - 1
