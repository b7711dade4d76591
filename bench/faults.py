"""A server that plants faults and keeps the list: is every one counted under its kind, none lost and none invented?

    python bench/faults.py [--requests 400] [--vllm PYTHON] [--sglang PYTHON] [--aiperf BIN] [--tokenizer DIR] [--json]

Stops by itself after half a minute, and as much again for each peer. Of every hundred answers five are of each kind,
in an order that is always the same. mmload's records are matched with the server's list request by request. Peers get
the same faults but `never` (most would wait for hours), and what they report as failed is set beside what was planted.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from common import BODIES, Figure, body_of, exact_server, mmload_run, parser_of, report, scratch
from peers import Load, add_options, installed, run_peer

DELAY_S = 0.02
EXPECTED = {
    "500": "http_error",
    "503": "http_error",
    "reset": "connection_error",
    "truncated_body": "truncated",
    "truncated_stream": "truncated",
    "malformed": "malformed",
    "error_in_stream": "http_error",
    "empty": "wrong_output",
    "never": "timeout",
}


def own(folder: Path, requests: int) -> list[Figure]:
    load = ("--rate", "50", "--requests", str(requests), "--warmup", "0s", "--timeout", "1s", "--workload", "text")
    with exact_server(folder, DELAY_S, "--faults", ",".join(EXPECTED)) as server:
        run = mmload_run(folder, server.url, *load)
    planted = {one.id: one.planted for one in server.wire().seen}
    counted: Counter[tuple[str, str]] = Counter(
        (planted.get(record.id, "unseen"), record.outcome) for record in run.records
    )
    ids = Counter(record.id for record in run.records)
    figures = []
    for kind, outcome in {**EXPECTED, "ok": "ok"}.items():
        number = sum(one == kind for one in planted.values())
        title = f"mmload: {kind} counted as {outcome}"
        note = f"of {number} planted" if kind != "ok" else f"of {number} correct answers"
        figures.append(Figure(title, counted[kind, outcome], at_least=number, at_most=number, note=note))
    lost = len(planted.keys() - ids.keys())
    invented = sum(count for (kind, outcome), count in counted.items() if kind == "unseen" and outcome != "dropped")
    measured = run.summary["outcomes"]
    return [
        *figures,
        Figure("mmload: requests without a record", lost, at_most=0),
        Figure("mmload: records of requests never sent", invented, at_most=0),
        Figure("mmload: requests with two records", len(run.records) - len(ids), at_most=0),
        Figure("mmload: outcomes in the summary", sum(measured.values()), at_least=requests, at_most=requests),
    ]


def peers(folder: Path, arguments: argparse.Namespace) -> list[Figure]:
    """What each peer makes of it: failures reported, of faults planted."""
    kinds = ",".join(kind for kind in EXPECTED if kind != "never")
    load = Load(body_of(folder, BODIES["133 kB"]), 50.0, arguments.requests, arguments.tokenizer)
    figures = []
    for name, peer in installed(arguments).items():
        title = f"{name}: failures reported"
        if peer is None:
            figures.append(Figure(title, None, note=f"not installed: --{name} says where it is"))
            continue
        try:
            found = run_peer(folder, peer, load, DELAY_S, "--faults", kinds)
        except RuntimeError as error:
            figures.append(Figure(title, None, note=str(error)))
        else:
            figures.append(Figure(title, found.said.failed, note=f"of {found.planted} planted"))
    return figures


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--requests", type=int, default=400)
    add_options(parser)
    arguments = parser.parse_args()
    with scratch() as folder:
        figures = own(folder, arguments.requests) + peers(folder, arguments)
    return report(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
