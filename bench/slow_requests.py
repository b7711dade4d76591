"""How often a reason is given for slow requests that have none, and how often a planted one is found (analyse/slow.py).

    python bench/slow_requests.py [--servers N]

Made up in memory, with fixed seeds: one server that serves requests in turn, and profilers that look at it a hundred
times a second, at random. Without a stall every reason is a false alarm. The stall is half a second in a phase that
every request has anyway.
"""

import sys

import numpy as np
from common import Figure, parser_of, report
from planted_waits import ORDINARY_MS, serve, stamped

from mmload.analyse.phases import Judge
from mmload.analyse.slow import SlowRequests, compare
from mmload.analyse.waiting import Waits, timelines
from mmload.plan.phases import rules_for

PROCESSES = ("scheduler_TP0", "scheduler_TP1", "tokenizer")
SERVICES_MS = {"16 ms": ORDINARY_MS, "58 ms": {"receive": 3.0, "materialise": 9.0, "forward": 46.0}}
BUSY = (0.1, 0.4, 0.7, 0.85, 0.95, 1.05)  # offered over what it can serve
LENGTHS_S = (5.0, 10.0)
STALLS = [(2.0, 0.5)]
FOUND_UP_TO = 0.7  # busier servers make requests wait longer than the stall does


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--servers", type=int, default=40, help="of each kind")
    arguments = parser.parse_args()
    judge = Judge(rules_for("standin"), {})
    figures, even, quiet_hits = [], [], []
    for service, service_ms in SERVICES_MS.items():
        for busy in BUSY:
            hits = []
            for seed, length_s in ((seed, length_s) for seed in range(arguments.servers) for length_s in LENGTHS_S):
                rate_rps = 1000 * busy / sum(service_ms.values())
                without, stalled = (
                    _found(judge, seed, length_s, rate_rps, stalls, service_ms) for stalls in ((), STALLS)
                )
                even += [len(without.sentences) > 1] if without else []
                hits += [any(" in materialise" in one for one in stalled.sentences[1:])] if stalled else []
            if hits:
                figures.append(
                    Figure(f"stall found: {service}, busy {busy:.0%}", float(np.mean(hits)), note=f"of {len(hits)}")
                )
                quiet_hits += hits if busy <= FOUND_UP_TO else []
    figures.append(Figure(f"stall found, busy up to {FOUND_UP_TO:.0%}", float(np.mean(quiet_hits)), at_least=0.9))
    figures.append(Figure("false alarms", float(np.mean(even)), at_most=0.01, note=f"of {len(even)} servers"))
    return report(figures, as_json=arguments.json)


def _found(judge, seed, length_s, rate_rps, stalls, service_ms) -> SlowRequests | None:
    rng = np.random.default_rng(seed)
    served = serve(rng, rate_rps, length_s, stalls, "materialise", service_ms)
    threads = {}
    for process in PROCESSES:
        threads |= timelines(process, stamped(rng, served, length_s=length_s + 1), judge)
    due_ns, done_ns = ((t_s * 1e9).astype(np.int64) for t_s in (served.due_s, served.done_s))
    return compare(threads, Waits(due_ns, done_ns), 0.01)


if __name__ == "__main__":
    sys.exit(main())
