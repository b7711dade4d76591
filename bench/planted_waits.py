"""One server that takes requests in turn, looked at by a profiler with random ticks: what held them up is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mmload.store.stamped import StampedStacks, StampedThread

LOOP = "event_loop (mmload/standin/rank.py:40)"
STACKS = {
    "idle-poll": f"{LOOP};poll_for_work (mmload/standin/rank.py:50)",
    "receive": f"{LOOP};recv_requests (mmload/standin/rank.py:60)",
    "materialise": f"{LOOP};from_dict (mmload/standin/inputs.py:9)",
    "forward": f"{LOOP};run_batch (mmload/standin/rank.py:90)",
    "hash": f"{LOOP};hash_feature (mmload/standin/inputs.py:30)",
}
ORDINARY_MS = {"receive": 2.0, "materialise": 8.0, "forward": 6.0}


class Served(NamedTuple):
    """What happened, in seconds from 0. did: (since when, phase)."""

    due_s: np.ndarray
    done_s: np.ndarray
    did: list[tuple[float, str]]


def serve(rng, rate_rps, length_s, stalls=(), phase="hash", service_ms=ORDINARY_MS):
    """stalls: (when, how long) the server is held up in `phase`, by the first request that comes to be served then."""
    due_s = np.sort(rng.uniform(0, length_s, rng.poisson(rate_rps * length_s)))
    free_s, done_s, did, left = 0.0, [], [(0.0, "idle-poll")], list(stalls)
    for due in due_s:
        free_s = max(free_s, due)
        if left and free_s > left[0][0]:
            did.append((free_s, phase))
            free_s += left.pop(0)[1]
        for own, ms in service_ms.items():
            did.append((free_s, own))
            free_s += rng.gamma(4, ms / 4000)
        did.append((free_s, "idle-poll"))
        done_s.append(free_s)
    return Served(due_s, np.array(done_s), did)


def stamped(rng, served, start_ns=0, rate_hz=100, length_s=6.0, more_threads=()):
    """What a profiler notes of it."""
    ticks_s = np.sort(rng.uniform(0, length_s, rng.poisson(rate_hz * length_s)))
    places = np.searchsorted([t_s for t_s, _ in served.did], ticks_s, side="right") - 1
    names = list(STACKS)
    seen = [names.index(served.did[place][1]) for place in places]
    new = [place for place in range(len(seen)) if not place or seen[place] != seen[place - 1]]
    main = StampedThread(
        name="MainThread",
        t_ns=[start_ns + round(ticks_s[place] * 1e9) for place in new],
        stack=[seen[place] for place in new],
    )
    return StampedStacks(
        start_ns=main.t_ns[0],
        end_ns=start_ns + round(length_s * 1e9),
        clock_error_ns=2_000_000,
        rate_hz=rate_hz,
        stacks=list(STACKS.values()),
        threads=[main, *more_threads],
    )
