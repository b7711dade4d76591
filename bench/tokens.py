"""Streams whose every token the server wrote down as it left: how far off are the times that mmload records?

    python bench/tokens.py [--streams 60] [--seconds 8] [--json]

Stops by itself after a minute. Streams of a second begin as a Poisson process, --streams at once in the mean; their
tokens leave every 5, 20 and 50 ms, the first after 50 ms. Server and worker read the same clock: the error of a token
is its arrival in the record less its emission at the server, that of TTFT is (first token - sent) less (first token
out - first byte in), and that of an ITL is the difference of two arrivals less that of the two emissions. It is the
size of these that is held to 1 ms at p50 and 2 ms at p99, token by token; the percentiles of the summary are shown
beside those of the wire.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise

from common import Figure, Run, Wire, exact_server, mmload_run, parser_of, percentile, report, scratch

FIRST_S = 0.05
SPACINGS_MS = (5, 20, 50)
STREAM_S = 1.0


def gaps(times_ns: Sequence[int]) -> list[int]:
    return [after - before for before, after in pairwise(times_ns)]


def figures_of(title: str, run: Run, wire: Wire) -> list[Figure]:
    seen = wire.by_id
    pairs = [(record, seen[record.id]) for record in run.measured if record.outcome == "ok"]
    strict = [(record, one) for record, one in pairs if len(record.token_ns) == len(one.out_ns)]
    arrival = [got - out for record, one in strict for got, out in zip(record.token_ns, one.out_ns, strict=True)]
    ttft = [
        (record.token_ns[0] - record.sent_ns) - (one.out_ns[0] - one.first_ns)
        for record, one in strict
        if record.sent_ns is not None
    ]
    gap_pairs = [pair for r, one in strict for pair in zip(gaps(r.token_ns), gaps(one.out_ns), strict=True)]
    itl = [got - out for got, out in gap_pairs]
    busy_ns = sum((record.done_ns or 0) - (record.sent_ns or 0) for record, _ in pairs)
    window_ns = run.measured[-1].due_ns - run.measured[0].due_ns
    figures = [
        Figure(f"{title}: streams at once, mean", busy_ns / window_ns),
        Figure(f"{title}: streams with other tokens than were sent", len(run.measured) - len(strict), at_most=0),
        Figure(f"{title}: tokens that arrived before they left", sum(late < 0 for late in arrival), at_most=0),
    ]
    for name, errors in (("TTFT", ttft), ("ITL", itl), ("arrival", arrival)):
        sizes_ms = [abs(error) / 1e6 for error in errors]
        for share, limit in ((0.5, 1.0), (0.99, 2.0)):
            value = percentile(sizes_ms, share)
            figures.append(Figure(f"{title}: error of {name}, p{100 * share:g}", value, "ms", at_most=limit))
    for share in (0.5, 0.99):
        true_ms = percentile((out / 1e6 for _, out in gap_pairs), share)
        reported_ms = run.summary["itl_ms"][f"p{100 * share:g}"]
        note = f"the wire: {true_ms:.3f} ms"
        figures.append(Figure(f"{title}: reported ITL p{100 * share:g}", reported_ms, "ms", note=note))
    return figures


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--streams", type=float, default=60.0)
    parser.add_argument("--seconds", type=float, default=8.0)
    arguments = parser.parse_args()
    rate_rps = arguments.streams / (FIRST_S + STREAM_S)  # Little's law
    load = ("--rate", f"{rate_rps:g}", "--warmup", "2s", "--duration", f"{arguments.seconds:g}s")
    figures = []
    with scratch() as folder:
        for spacing_ms in SPACINGS_MS:
            tokens = round(1000 * STREAM_S / spacing_ms)
            options = ("--tokens", str(tokens), str(spacing_ms / 1000))
            with exact_server(folder, FIRST_S, *options) as server:
                run = mmload_run(folder, server.url, *load, "--workload", "text")
            figures += figures_of(f"every {spacing_ms} ms", run, server.wire())
    return report(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
