"""The load generator against a server that answers in exactly 50 ms: what it costs, how late it sends, and whether what
it reports is what happened on the wire; then as fast as it can. Beside it, in the same run, other load generators.

    python bench/generator.py [--seconds 20] [--rate 100] [--vllm PYTHON] [--sglang PYTHON] [--aiperf BIN]
                              [--tokenizer DIR] [--json]

Stops by itself: after some two minutes alone, a minute more for each peer and size of body. CPU is of the worker, by
its own clock, in the measure window, before and after the peers have their turn. Of a peer it is all its processes',
from the first request to the last answer; that is stated for mmload too. The wire's time of a request is from its first
byte at the server to its answer's departure. Ratios hold on a noisy machine; lag and percentiles want a quiet one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec
from common import (
    BODIES,
    Figure,
    body_of,
    exact_server,
    mmload_run,
    of_one_size,
    parser_of,
    percentile,
    report,
    scratch,
)
from peers import Load, Outcome, add_options, installed, run_peer

DELAY_S = 0.05
LAG_P99_LIMIT_MS = {"133 kB": 1.0, "1.34 MB": 2.0}
AT_MOST_OF = {"locust": 2.0, "vllm": 1 / 3}  # CPU seconds per request, as a ratio to the peer's
PER_CORE = 8000


class Paced(msgspec.Struct, frozen=True):
    """What came out at a fixed rate. cpu_s_per_1000: of the worker; all_cpu_s_per_1000: of driver and samplers too.
    *_error: of the reported percentile of service time, against the wire."""

    cpu_s_per_1000: float
    all_cpu_s_per_1000: float
    lag_p99_ms: float
    wire_lag_p99_ms: float
    p50_error: float
    p99_error: float


def paced(folder: Path, side_px: int, rate_rps: float, seconds: float) -> Paced:
    load = ("--rate", f"{rate_rps:g}", "--warmup", "1s", "--duration", f"{seconds:g}s")
    with exact_server(folder, DELAY_S, "--pin") as server:
        run = mmload_run(folder, server.url, "--workload", str(of_one_size(folder, side_px)), *load)
    wire = server.wire().by_id
    pairs = [(record, wire[record.id]) for record in run.measured if record.outcome == "ok"]
    reported_ms = [((record.done_ns or 0) - (record.sent_ns or 0)) / 1e6 for record, _ in pairs]
    true_ms = [(seen.out_ns[-1] - seen.first_ns) / 1e6 for _, seen in pairs]
    generator = run.summary["generator"]
    all_cpu_s = run.cpu.between(run.measured[0].due_ns, run.measured[-1].done_ns or 0)
    return Paced(
        cpu_s_per_1000=generator["cpu_s_per_1000_requests"],
        all_cpu_s_per_1000=1000 * all_cpu_s / len(run.measured),
        lag_p99_ms=generator["lag_p99_ms"],
        wire_lag_p99_ms=percentile(((seen.first_ns - record.due_ns) / 1e6 for record, seen in pairs), 0.99),
        p50_error=percentile(reported_ms, 0.5) / percentile(true_ms, 0.5) - 1,
        p99_error=percentile(reported_ms, 0.99) / percentile(true_ms, 0.99) - 1,
    )


def own_figures(name: str, found: Paced) -> list[Figure]:
    return [
        Figure(f"mmload, {name}: worker CPU per 1,000", found.cpu_s_per_1000, "s"),
        Figure(f"mmload, {name}: CPU per 1,000 of all its processes", found.all_cpu_s_per_1000, "s"),
        Figure(f"mmload, {name}: lag p99", found.lag_p99_ms, "ms", at_most=LAG_P99_LIMIT_MS[name]),
        Figure(f"mmload, {name}: lag p99 at the server", found.wire_lag_p99_ms, "ms", note="first byte in - due"),
        Figure(f"mmload, {name}: reported p50 off the wire", 100 * found.p50_error, "%", at_least=-1, at_most=1),
        Figure(f"mmload, {name}: reported p99 off the wire", 100 * found.p99_error, "%", at_least=-1, at_most=1),
    ]


def beside(name: str, peer: str, cpu_s_per_1000: float, other: Outcome | None, why_not: str) -> list[Figure]:
    """What a peer cost and reported with the same bodies, and mmload's worker as a ratio to it."""
    ratio = f"mmload / {peer}, {name}: CPU per request"
    if other is None:
        return [Figure(ratio, None, at_most=AT_MOST_OF.get(peer), note=why_not)]
    figures = [
        Figure(f"{peer}, {name}: CPU per 1,000", other.cpu_s_per_1000, "s", note=f"{other.body_bytes:,} B each"),
        Figure(ratio, cpu_s_per_1000 / other.cpu_s_per_1000, at_most=AT_MOST_OF.get(peer)),
    ]
    if other.said.p99_ms is not None:
        error = 100 * (other.said.p99_ms / other.wire_p99_ms - 1)
        figures.append(Figure(f"{peer}, {name}: reported p99 off the wire", error, "%"))
    return figures


def all_paced(folder: Path, name: str, seconds: float, arguments: argparse.Namespace) -> list[Figure]:
    own = paced(folder, BODIES[name], arguments.rate, seconds)
    others = beside_peers(folder, name, seconds, arguments)
    again = paced(folder, BODIES[name], arguments.rate, seconds / 2)
    cpu_s_per_1000 = (own.cpu_s_per_1000 + again.cpu_s_per_1000) / 2  # before and after: a host's speed wanders
    figures = own_figures(name, msgspec.structs.replace(own, cpu_s_per_1000=cpu_s_per_1000))
    for peer_name, (other, why_not) in others.items():
        figures += beside(name, peer_name, cpu_s_per_1000, other, why_not)
    return figures


def beside_peers(
    folder: Path, name: str, seconds: float, arguments: argparse.Namespace
) -> dict[str, tuple[Outcome | None, str]]:
    """Each peer's run with bodies of the same size, or why there is none."""
    load = Load(body_of(folder, BODIES[name]), arguments.rate, round(arguments.rate * seconds), arguments.tokenizer)
    found = {}
    for peer_name, peer in installed(arguments).items():
        other, why_not = None, f"not installed: --{peer_name} says where it is"
        if peer is not None:
            try:
                other = run_peer(folder, peer, load, DELAY_S, "--pin")
            except RuntimeError as error:
                why_not = str(error)
        found[peer_name] = (other, why_not)
    return found


def unpaced(folder: Path, seconds: float) -> list[Figure]:
    """64 in flight, 133 kB, no delay: the same server for one worker and for two."""
    rates = []
    figures = []
    for workers in (1, 2):
        load = ("--concurrency", "64", "--warmup", "1s", "--duration", f"{seconds:g}s", "--workers", str(workers))
        with exact_server(folder, 0.0, "--processes", "2") as server:
            run = mmload_run(folder, server.url, "--workload", str(of_one_size(folder, BODIES["133 kB"])), *load)
        rates.append(run.summary["achieved_rate_rps"])
        per_core = 1000 / run.summary["generator"]["cpu_s_per_1000_requests"]
        limit = PER_CORE if workers == 1 else None
        figures += [
            Figure(f"64 in flight, {workers} worker(s): achieved", rates[-1], "/s"),
            Figure(f"64 in flight, {workers} worker(s): per CPU second of worker", per_core, "/s", at_least=limit),
        ]
    return [*figures, Figure("two workers / one", rates[1] / rates[0], at_least=1.0)]


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=100.0)
    add_options(parser)
    arguments = parser.parse_args()
    with scratch() as folder:
        figures = all_paced(folder, "133 kB", arguments.seconds, arguments)
        figures += all_paced(folder, "1.34 MB", min(arguments.seconds, 8.0), arguments)
        figures += unpaced(folder, min(arguments.seconds, 5.0))
    return report(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
