"""What a report says of a run before any figure: whether it can be trusted, what it was, how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import PurePath

import msgspec

from mmload.judge.report import ReportedRun
from mmload.model.manifest import Manifest
from mmload.model.result import Summary
from mmload.plan.load_text import load_text
from mmload.plan.repeat_text import repeat_command, withheld
from mmload.show.headline_words import (
    achieved_of_offered,
    busiest_rank,
    handoff_cost,
    own_doing,
    p50_and_p99,
    why_infinite,
)
from mmload.show.report_shapes import Fact, Table, Tone, facts, table
from mmload.show.terminal_figures import MISSING, count, figure, plain, size
from mmload.show.terminal_processes import short_name

_S = 1e9
_BYTES = "_bytes"
_NO_SUMMARY = "no figures: "


class Banner(msgspec.Struct, frozen=True):
    """What must not be overlooked: a loud word, a sentence, and the reasons."""

    word: str
    tone: Tone
    sentence: str
    reasons: tuple[str, ...] = ()


def banners(run: ReportedRun) -> Iterator[Banner]:
    """Nothing for a complete and valid run of a real server."""
    manifest = run.manifest
    if manifest.engine == "standin":
        said = "It does the same work in the same places, with a model that only waits: no figure here is of SGLang."
        yield Banner("STAND-IN SERVER, NOT SGLANG", "warn", said)
    if manifest.validity != "valid":
        yield Banner(
            "INVALID", "invalid", "These figures say nothing about the server:", _each_plain(manifest.validity)
        )
    status = run.summary.status if run.summary else manifest.status
    if status != "complete":
        why = manifest.error or "the run has not come to its end; the figures are of what was measured"
        yield Banner(status.upper(), "bad" if status == "failed" else "warn", plain(why))
    if run.troubles:
        lead = _NO_SUMMARY if run.summary is None else "a part of this run could not be read: "
        yield Banner("DAMAGED", "bad", f"{lead}what is missing below is missing for this:", _each_plain(run.troubles))


def _each_plain(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(plain(text) for text in texts)


def headline(run: ReportedRun) -> list[Fact]:
    """The figures that matter most, as far as there are any."""
    summary = run.summary
    if summary is None or not summary.duration_s:
        return [Fact("measured", "nothing")]
    if summary.kind == "profile":
        return [Fact("profiled, without load", f"{figure(summary.duration_s)} s"), *_cost(summary)]
    offered, achieved, bounds = achieved_of_offered(summary)
    asked = "in a closed loop" if summary.offered_rate_rps is None else f"of {offered} req/s offered"
    found = [Fact("achieved", f"{achieved} req/s{f' ({bounds})' if bounds else ''} {asked}")]
    response = summary.response_ms
    if response.n:
        p50, p99 = p50_and_p99(response)
        why = f"; {said}" if (said := why_infinite(summary)) else ""
        found.append(Fact("response time", f"P99 {p99} ms, p50 {p50} ms (n {response.n:,}){why}"))
    return [*found, *_cost(summary), *_not_ok(summary)]


def _cost(summary: Summary) -> Iterator[Fact]:
    if busiest := busiest_rank(summary):
        name, cpu = busiest
        total = f"{figure(cpu.total_pct, most=1)} % of a core"
        work = f"works {figure(cpu.work_pct, most=1)} % of a core, total {figure(cpu.total_pct, most=1)} %"
        yield Fact("busiest rank", f"{name} {f'burns {total}' if cpu.work_pct is None else work}")
    if cost := handoff_cost(summary):
        yield Fact("handoff", " ".join(cost))


def _not_ok(summary: Summary) -> Iterator[Fact]:
    if summary.error_rate is None:
        return
    wrong = round(summary.error_rate * summary.requests)
    ended = own_doing(summary)
    why = f"; mmload did not wait for {ended:,} of them, as the run was ended" if ended else ""
    said = f"{wrong:,} of {count(summary.requests, 'request')}{why}"
    yield Fact("not ok", said, "bad" if wrong > ended else "")


def what_was_run(run: ReportedRun) -> list[Fact]:
    """All that was decided before the run began, and on what it ran."""
    manifest, plan = run.manifest, run.plan
    member = manifest.member
    asked: dict[str, object] = {
        "run": run.run_id,
        "began": began_text(manifest),
        "campaign": member and f"{member.campaign}, scene {member.scene}, round {member.round + 1}",
        "variant": manifest.variant,
        "workload": manifest.workload if manifest.kind == "run" else "none: a profile without load",
        "load": plan and load_text(plan.load),
        "seed": manifest.seed,
        **_lengths(run),
        "engine": " ".join(filter(None, (manifest.engine, manifest.engine_version))),
        "model": manifest.model,
        "TP": manifest.tp,
        "idle policy": manifest.idle_policy,
        "server": plan and plan.url,
    }
    return [*facts(asked), *facts(_place(manifest)), *facts(_digests(manifest))]


def _place(manifest: Manifest) -> dict[str, object]:
    agent = manifest.agent
    return {
        "host": pairs_text(manifest.host),
        "server's host": agent and f"{pairs_text(agent.about)}, at {agent.url}",
        "its clock": agent and f"known to {agent.clock_error_ms:.2g} ms",
        "profiler": _profiler(manifest),
        "versions": pairs_text({**manifest.versions, **({"git": manifest.git} if manifest.git else {})}),
    }


def _profiler(manifest: Manifest) -> str:
    profile = manifest.profile
    if profile.mode == "none":
        return "no stacks were taken"
    samples = f"{count(profile.samples, 'sample')}, {profile.errors:,} lost"
    return f"py-spy, mode {profile.mode}, {profile.rate_hz} Hz, {samples}"


def _digests(manifest: Manifest) -> dict[str, object]:
    return {"schedule sha256": manifest.schedule_sha256, "payloads sha256": manifest.payloads_sha256}


def _lengths(run: ReportedRun) -> dict[str, str]:
    """Of a run that broke off the planned ones, and how much of them was measured."""
    phases = ", ".join(f"{p.name} {figure((p.end_ns - p.start_ns) / _S)} s" for p in run.manifest.phases)
    if run.manifest.status == "complete" or run.summary is None:
        return {"phases": phases}
    return {"phases, as planned": phases, "measured": f"{figure(run.summary.duration_s)} s"}


def pairs_text(values: Mapping[str, object]) -> str:
    """`name vm, cores 2, memory 25.3 GB`: those that are known."""
    known = {name: value for name, value in values.items() if value is not None}
    sizes = {name: size(value) for name, value in known.items() if name.endswith(_BYTES) and isinstance(value, int)}
    return ", ".join(f"{name.removesuffix(_BYTES)} {sizes.get(name, value)}" for name, value in known.items())


def commands(run: ReportedRun) -> list[Fact]:
    """How to make the run again: from its plan exactly, and written out. Nothing where the plan can't be read."""
    if run.manifest.kind == "profile" or run.plan is None:
        return []
    exact = shlex.join(["mmload", "run", "--plan", str(PurePath(run.folder, "plan.json"))])
    found = [Fact("exactly as it was planned", exact, is_code=True)]
    found.append(Fact("the same, written out", plain(repeat_command(run.plan)), is_code=True))
    left_out = "; ".join(withheld(run.plan))
    return [*found, *facts({"left out of that": left_out})]


def began_text(manifest: Manifest) -> str:
    """`2026-11-20 03:15:00 UTC`."""
    return datetime.fromtimestamp(manifest.clock.utc_ns / _S, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def ranks(manifest: Manifest) -> Table | None:
    rows = [
        (short_name(one.name) or str(one.rank), str(one.pid), str(one.start_ticks), one.variant or MISSING)
        for one in manifest.ranks
    ]
    return table("ranks", ("rank", "pid", "start ticks", "variant"), rows, left=(0, 3)) if rows else None


def flags(manifest: Manifest) -> list[Fact]:
    """The server's own arguments, as it announced them."""
    return [Fact(plain(name), plain(str(value))) for name, value in manifest.flags.items()]
