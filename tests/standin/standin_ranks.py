"""Collectives of ranks that live in threads of the test."""

import socket
import threading
from concurrent.futures import Future

from mmload.standin.collective import Collective, parent_of

PATIENCE_S = 20


def group(size):
    """Of each rank, its end."""
    edges = {rank: socket.socketpair() for rank in range(1, size)}
    return [
        Collective(
            rank,
            edges[rank][1] if rank else None,
            {child: ends[0] for child, ends in edges.items() if parent_of(child) == rank},
        )
        for rank in range(size)
    ]


def on_all(ranks, act):
    """act(rank) on every rank at once; what each returned. A thread that hangs fails the test and is left behind."""
    outcomes = [Future() for _ in ranks]
    for rank, outcome in zip(ranks, outcomes, strict=True):
        threading.Thread(target=_settle, args=[outcome, act, rank], daemon=True).start()
    return [outcome.result(PATIENCE_S) for outcome in outcomes]


def _settle(outcome, act, rank):
    try:
        outcome.set_result(act(rank))
    except BaseException as error:  # noqa: BLE001 - the test's to judge
        outcome.set_exception(error)
