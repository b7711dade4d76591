from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from show_samples import NO_QUANTILES, RUN_ID, drawn, drawn_lines, manifest, memory, phase_cpu, quantiles, summary

from mmload.model.manifest import ProfileInfo
from mmload.model.records import OUTCOMES
from mmload.model.result import Estimate, GeneratorHealth, ProcessCpu, ProcessMemory, Quantiles, Summary
from mmload.plan.phases import PHASES
from mmload.show.palette import PHASE_COLOURS, PHASE_LETTERS
from mmload.show.terminal_cpu import phase_bars, phase_legend
from mmload.show.terminal_figures import figures
from mmload.show.terminal_sheet import Drawn
from mmload.show.terminal_summary import render_summary

replace = msgspec.structs.replace


def lines(changed=None, width=80, **of_manifest):
    return drawn(render_summary(changed or summary(), manifest(**of_manifest)), width).splitlines()


def test_the_two_lines_that_matter_come_first():
    first, second = lines()[:2]
    assert first == "achieved    99.6 of 100.0 req/s   p50 61.2 ms   P99 142.4 ms   errors 0.350 %"
    assert second == "CPU         busiest rank TP0 works 29.8 % of a core   handoff 1.93 ms a request"


def test_a_closed_loop_has_no_offered_rate():
    assert lines(summary(offered_rate_rps=None))[0].startswith("achieved    99.6 req/s in a closed loop")


def test_a_p99_past_every_measured_time_is_infinite_and_says_why():
    failing = summary(response_ms=replace(quantiles(1), p99=None, max=None))
    assert lines(failing)[0].endswith("P99 ∞ ms")
    assert lines(failing)[1] == f"{' ' * 12}over 1 in 100 requests was not ok   errors 0.350 %"
    row = next(line for line in lines(failing) if line.startswith("  response"))
    assert row.split()[-2:] == ["∞", "∞"]


def test_a_run_without_requests_says_so_and_shows_no_zero_for_what_nobody_measured():
    empty = summary(
        requests=0,
        outcomes={},
        error_rate=None,
        response_ms=NO_QUANTILES,
        service_ms=NO_QUANTILES,
        ttft_ms=NO_QUANTILES,
        itl_ms=NO_QUANTILES,
        tpot_ms=NO_QUANTILES,
        cpu={},
        identity={},
        handoff={},
    )
    shown = lines(empty)
    assert shown[0] == "achieved    99.6 of 100.0 req/s   no request came due in the window"
    assert next(line for line in shown if line.startswith("  errors")).split() == ["errors", "-", "%"]
    assert not any("CPU, %" in line for line in shown)


def test_an_invalid_run_says_so_before_anything_else_and_offers_no_gate():
    shown = lines(summary(validity=["lag p99 of 48.1 ms is over the limit of 10 ms"]))
    assert shown[:2] == [
        " INVALID  these figures say nothing about the server:",
        "  - lag p99 of 48.1 ms is over the limit of 10 ms",
    ]
    assert shown[-1].strip() == "mend what made it INVALID, then run again"
    assert not any("mmload gate" in line for line in shown)


def test_a_run_that_ended_before_it_measured_shows_no_figures():
    shown = lines(summary(status="failed", duration_s=0.0, requests=0), error="the server died")
    assert shown[2] == "measured    nothing: the run ended before its measure window"
    assert not any("latency" in line or "req/s" in line for line in shown)
    assert shown[-1].split()[-1] == f"profiles/{RUN_ID}/logs"


def test_a_run_with_a_gate_of_its_own_is_judged_by_it():
    assert lines(summary(gate="smoke"))[-1].strip() == f"mmload gate {RUN_ID} --gate smoke"


@pytest.mark.parametrize("status", ["partial", "failed", "running"])
def test_a_run_that_did_not_come_to_its_end_says_so_first(status):
    assert lines(summary(status=status), error="scheduler_TP1 died")[0] == f" {status.upper()}  scheduler_TP1 died"


def test_the_stand_in_is_never_taken_for_sglang():
    assert "stand-in server: not SGLang" in "\n".join(lines())
    assert "not SGLang" not in "\n".join(lines(summary(engine="sglang"), engine_version="0.5.6"))


def test_a_zero_outcome_is_not_shown():
    assert "dropped" not in "\n".join(lines())


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, ["cache hits  0.770 % of requests, 1.23 % of prompt tokens   asked reuse 0 %"]),
        (
            {"reuse": 0.5, "cache_hit_share": 0.492, "cached_token_share": 0.488},
            ["cache hits  49.2 % of requests, 48.8 % of prompt tokens   asked reuse 50.0 %"],
        ),
        (
            {"reuse": 0.5, "cache_hit_share": None, "cached_token_share": None},
            ["cache hits  unknown: the server does not say   asked reuse 50.0 %"],
        ),
        ({"cache_hit_share": None, "cached_token_share": None}, []),
    ],
)
def test_what_the_cache_held_stands_beside_what_was_asked_of_it(changes, shown):
    assert [line for line in lines(summary(**changes)) if line.startswith("cache")] == shown


def test_a_warning_of_manifest_and_summary_is_shown_once():
    shared = manifest().warnings[0]
    text = "\n".join(lines(summary(warnings=[shared, "another"])))
    assert text.count("! the host was 91 % busy") == 1
    assert "! another" in text


def test_findings_stand_above_the_warnings():
    shown = lines(summary(findings=["a rank is skewed"], warnings=["something small"]), warnings=[])
    assert shown.index("> a rank is skewed") < shown.index("! something small")


def test_costs_by_the_stack_samples_have_their_intervals_and_are_named_where_they_stand_for_counters():
    shown = "\n".join(lines(summary(handoff_source="samples")))
    assert "handoff, by stack samples" in shown
    assert "build 0.77 ms per answer (0.70 to 0.85)" in shown
    assert "handoff of a request" in "\n".join(lines())


def test_growth_is_a_column_where_it_is_known():
    growing = memory(10**9, growth_mb_per_h=Estimate(value=12.5, low=9.1, high=15.9))
    shown = lines(summary(memory={"scheduler_TP0": growing}))
    assert "growth, MB/h" in next(line for line in shown if line.startswith("memory"))
    assert not any("growth" in line for line in lines())


def test_the_last_lines_are_the_folder_and_the_next_commands():
    last = [f"{command} {RUN_ID}" for command in ("mmload flame", "mmload report", "mmload gate")]
    assert lines(width=70)[-4:-2] == [f"run folder  profiles/{RUN_ID}", f"next        {last[0]}"]
    assert [line.strip() for line in lines(width=70)[-2:]] == last[1:]
    assert lines(width=80)[-1].endswith(f"{last[2]}     whether to ship it")
    assert lines(summary(run_dir=f"elsewhere/{RUN_ID}"))[-1].strip() == f"mmload gate elsewhere/{RUN_ID}"


def test_only_a_run_with_stacks_has_a_flame_graph():
    assert not any("mmload flame" in line for line in lines(profile=ProfileInfo()))
    assert any("mmload report" in line for line in lines(profile=ProfileInfo()))


def test_a_phase_that_no_palette_knows_is_still_shown():
    odd = {"scheduler_TP0": ProcessCpu(total_pct=50, phases={"hash": 0.5, "teleport": 0.5})}
    text = "\n".join(lines(summary(cpu=odd)))
    assert "h hash" in text
    assert "? teleport" in text


def test_more_ranks_than_fit_are_shown_below_each_other():
    rank = summary().cpu["scheduler_TP0"]
    text = "\n".join(lines(summary(cpu={f"scheduler_TP{i}": rank for i in range(16)})))
    assert text.count("share of its CPU, %") > 1
    assert all(f"TP{i}" in text for i in range(16))


milliseconds = st.floats(0.01, 60_000).map(lambda value: round(value, 3))
percents = st.floats(0, 800)
shares = st.floats(0, 1)


@st.composite
def some_quantiles(draw) -> Quantiles:
    mean, *rest = (draw(milliseconds) for _ in range(6))
    p50, p90, p95, p99, greatest = sorted(rest)
    return Quantiles(n=draw(st.integers(1, 1_000_000)), mean=mean, p50=p50, p90=p90, p95=p95, p99=p99, max=greatest)


some_cpu = st.builds(
    ProcessCpu,
    total_pct=percents,
    total_low=st.none() | percents,
    total_high=st.none() | percents,
    work_pct=st.none() | percents,
    work_low=st.none() | percents,
    work_high=st.none() | percents,
    rss_max_bytes=st.integers(0, 10**12),
    samples=st.integers(0, 10_000),
    stack_samples=st.integers(0, 100_000),
    phases=st.dictionaries(st.sampled_from([*PHASE_COLOURS, "unheard-of"]), shares, max_size=5),
    hottest=st.lists(st.tuples(st.text(max_size=90), shares), max_size=4),
    user_pct=st.none() | percents,
    system_pct=st.none() | percents,
    native_pct=st.none() | percents,
    by_phase=st.dictionaries(st.sampled_from(PHASES), st.builds(phase_cpu, shares, st.integers(0, 9), milliseconds)),
    other=st.lists(st.tuples(st.text(max_size=90), st.floats(0.01, 1)), max_size=4),
)
sizes = st.integers(0, 10**15)
some_memory = st.builds(
    ProcessMemory,
    rss_max_bytes=sizes,
    rss_end_bytes=sizes,
    uss_bytes=st.none() | sizes,
    shm_bytes=st.none() | sizes,
    fds_max=st.none() | st.integers(0, 10**6),
    threads_max=st.integers(1, 10**5),
    growth_mb_per_h=st.none() | st.builds(Estimate, value=st.floats(-1e6, 1e6)),
)
some_health = st.builds(
    GeneratorHealth,
    scheduled=st.integers(0, 10**7),
    sent=st.integers(0, 10**7),
    undelivered=st.integers(0, 100),
    lag_p50_ms=st.none() | milliseconds,
    lag_p99_ms=st.none() | milliseconds,
    lag_max_ms=st.none() | milliseconds,
    longest_stall_ms=st.none() | milliseconds,
    cpu_pct=st.none() | percents,
    cpu_s_per_1000_requests=st.none() | st.floats(0, 100),
)
names = st.sampled_from(["tokenizer", *(f"scheduler_DP0_TP{i}" for i in range(12)), "detokenizer", "other-0"])


@st.composite
def some_summary(draw) -> Summary:
    return summary(
        status=draw(st.sampled_from(["complete", "partial", "failed"])),
        validity=draw(st.just("valid") | st.lists(st.text(max_size=200), min_size=1, max_size=2)),
        offered_rate_rps=draw(st.none() | st.floats(0, 20_000)),
        achieved_rate_rps=draw(st.floats(0, 20_000)),
        outcomes=draw(st.dictionaries(st.sampled_from(OUTCOMES), st.integers(0, 10**7))),
        error_rate=draw(st.none() | shares),
        response_ms=draw(some_quantiles()),
        ttft_ms=draw(some_quantiles()),
        cpu=draw(st.dictionaries(names, some_cpu, max_size=5)),
        memory=draw(st.dictionaries(names, some_memory, max_size=5)),
        findings=draw(st.lists(st.text(max_size=200), max_size=2)),
        generator=draw(some_health),
        handoff=draw(st.dictionaries(st.text(max_size=40), st.floats(0, 1e6), max_size=3)),
        warnings=draw(st.lists(st.text(max_size=200), max_size=2)),
    )


@settings(max_examples=40, deadline=None)
@given(some_summary(), st.sampled_from([80, 140]))
def test_no_line_is_wider_than_the_terminal(changed, width):
    written = drawn_lines(render_summary(changed, manifest()), width)
    assert [line for line in written if len(line) > width and line.isascii()] == []


@settings(max_examples=40, deadline=None)
@given(some_summary(), st.integers(1, 79))
def test_the_narrowest_terminal_gets_a_summary_too(changed, width):
    assert drawn(render_summary(changed, manifest()), width)


@settings(max_examples=40, deadline=None)
@given(some_summary(), st.sampled_from([80, 140]))
def test_every_figure_is_there(changed, width):
    text = "\n".join(drawn_lines(render_summary(changed, manifest()), width))
    for q in (changed.response_ms, changed.ttft_ms):
        for shown in (*figures([q.mean, q.p50, q.p90, q.p95, q.p99, q.max]), f"{q.n:,}"):
            assert shown in text
    for kind, number in changed.outcomes.items():
        assert not number or f"{kind} {number:,}" in text
    for name, process in changed.cpu.items():
        assert name in text
        for value in (process.total_pct, process.work_pct):
            assert figures([value], most=1)[0] in text or figures([value, 9.99], most=1)[0] in text
        for part in (*process.phases.values(), *dict(process.hottest).values(), *dict(process.other).values()):
            assert f"{100 * part:.1f}" in text
        for phase in process.by_phase.values():
            assert f"{phase.ms_per_request.value:.3f}" in text


def test_processes_stand_in_the_order_of_a_request_with_ranks_by_number():
    rank = ProcessCpu(total_pct=1)
    shuffled = ("other-0", "scheduler_TP10", "generator-0", "scheduler_TP2", "detokenizer", "tokenizer")
    shown = lines(summary(cpu=dict.fromkeys(shuffled, rank)))
    start = next(place for place, line in enumerate(shown) if line.startswith("CPU, %"))
    assert [line.split()[0] for line in shown[start + 1 : start + 7]] == [
        "tokenizer",
        "scheduler_TP2",
        "scheduler_TP10",
        "detokenizer",
        "generator-0",
        "other-0",
    ]


def test_every_phase_there_is_has_a_colour_and_a_letter_in_the_order_of_the_rules():
    assert tuple(PHASE_COLOURS) == tuple(PHASE_LETTERS) == PHASES
    assert len(set(PHASE_LETTERS.values())) == len(PHASES)


def test_the_handoffs_cost_is_shown_by_process_and_what_was_never_counted_is_not():
    shown = "\n".join(lines())
    assert re.search(r"^  handoff_cpu_ms +1\.93 +1\.02 +0\.51 +0\.40$", shown, re.MULTILINE)
    assert "broadcast_bytes 602,417" in shown
    assert "cache_hits" not in shown


def test_a_cache_that_never_hit_is_shown():
    shown = "\n".join(lines(summary(handoff={"cache_hit_rate": 0.0, "cache_hits_per_request": 0.0})))
    assert "cache_hit_rate 0" in shown
    assert "cache_hits" not in shown


def test_sixteen_colours_do_not_tell_phases_apart_so_letters_do():
    view = Drawn(lambda sheet: [*phase_bars(summary().cpu, sheet), *phase_legend(summary().cpu, sheet)])
    few, many = drawn(view, colour="standard"), drawn(view, colour="256")
    assert "b broadcast" in re.sub(r"\x1b\[[0-9;]*m", "", few)
    assert "\x1b[" in few
    assert "▇ broadcast" in re.sub(r"\x1b\[[0-9;]*m", "", many)


def test_a_closed_loop_has_no_row_of_what_was_offered():
    assert "  offered " in drawn(render_summary(summary(), manifest()))
    assert "  offered " not in drawn(render_summary(summary(offered_rate_rps=None), manifest()))
