"""A server that stands still for 1 s in every 5 s: does the reported P99 say what an open loop would have met, and has
every request an answer and a record?

    python bench/freezing_server.py [--seconds 30] [--rate 50] [--json]

Stops by itself after a minute and a half. The truth is computed, not measured by another client: a request due at t is
read at t, or at the end of the standstill that t lies in; it is answered 50 ms later, or at the end of the standstill
that this falls into. The standstills are those that the server logged. How far its answers really went out from there
is shown: the server's own lateness. Stock Locust, with ten users, meets the same server.
"""

from __future__ import annotations

import sys
from pathlib import Path

from common import Figure, Wire, exact_server, mmload_run, parser_of, percentile, report, scratch
from peers import LOCUST, Load, run_peer

DELAY_S = 0.05
FREEZE = ("--freeze", "5", "1")
BODY = b'{"messages": [{"role": "user", "content": "hi"}], "stream": true}'


def answered_ns(due_ns: int, wire: Wire) -> int:
    """When a perfect open loop would have had its answer."""
    return thawed_ns(thawed_ns(due_ns, wire) + round(DELAY_S * 1e9), wire)


def thawed_ns(t_ns: int, wire: Wire) -> int:
    """t_ns, or the end of the standstill that it lies in."""
    return next((end_ns for start_ns, end_ns in wire.frozen if start_ns <= t_ns < end_ns), t_ns)


def open_loop(folder: Path, rate_rps: float, seconds: float) -> list[Figure]:
    load = ("--rate", f"{rate_rps:g}", "--warmup", "1s", "--duration", f"{seconds:g}s", "--workload", "text")
    with exact_server(folder, DELAY_S, *FREEZE) as server:
        run = mmload_run(folder, server.url, *load)
    wire = server.wire()
    seen = wire.by_id
    true_ms = [(answered_ns(record.due_ns, wire) - record.due_ns) / 1e6 for record in run.measured]
    late_ms = [
        (seen[record.id].out_ns[0] - answered_ns(record.due_ns, wire)) / 1e6
        for record in run.measured
        if record.id in seen and seen[record.id].out_ns
    ]
    reported_ms = run.summary["response_ms"]
    p90_ms, p99_ms = percentile(true_ms, 0.9), percentile(true_ms, 0.99)
    scheduled = round(rate_rps * seconds)
    return [
        Figure("standstills in the run", len(wire.frozen)),
        Figure("perfect open loop: P90", p90_ms, "ms"),
        Figure("perfect open loop: P99", p99_ms, "ms"),
        Figure("mmload: reported P90", reported_ms["p90"], "ms"),
        Figure("mmload: reported P99", reported_ms["p99"], "ms"),
        Figure("mmload: P99 off the truth", 100 * (reported_ms["p99"] / p99_ms - 1), "%", at_least=-2, at_most=2),
        Figure("server's answers after the computed time: p99", percentile(late_ms, 0.99), "ms"),
        Figure("scheduled requests without a record", scheduled - len(run.measured), at_least=0, at_most=0),
        Figure("records of requests that the server never saw", len(run.measured) - len(late_ms), at_most=0),
        Figure("records that are not ok", sum(record.outcome != "ok" for record in run.measured), at_most=0),
    ]


def closed_users(folder: Path, rate_rps: float, seconds: float) -> list[Figure]:
    load = Load(BODY, rate_rps, round(rate_rps * seconds), users=10)
    found = run_peer(folder, LOCUST, load, DELAY_S, *FREEZE)
    return [
        Figure("stock Locust, 10 users: reported P90", found.said.p90_ms, "ms"),
        Figure("stock Locust, 10 users: reported P99", found.said.p99_ms, "ms"),
        Figure("stock Locust, 10 users: requests of those scheduled", 100 * found.sent / load.requests, "%"),
    ]


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=50.0)
    arguments = parser.parse_args()
    with scratch() as folder:
        figures = open_loop(folder, arguments.rate, arguments.seconds)
        figures += closed_users(folder, arguments.rate, arguments.seconds)
    return report(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
