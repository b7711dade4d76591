"""Observations of the handoff made up for tests."""

from mmload.handoff.counters import COLUMNS
from mmload.model.handoff import Cell, Observation, Reading

CELL = Cell(tp=4, size_bytes=100_000_000, batch=1)


def reading(wall_ms=100.0, cpu_ms=200.0, build_ms=50.0, **counters):
    """A reading whose ranks burnt three quarters of the CPU."""
    counted = dict.fromkeys(COLUMNS, 0.0) | {
        "build_cpu_seconds": build_ms / 1e3 / 5,
        "hash_cpu_seconds": build_ms / 1e3 * 4 / 5,
        "pickle_cpu_seconds": 0.020,
        "received_bytes": 400e6,
        **counters,
    }
    return Reading(wall_s=wall_ms / 1e3, tokenizer_cpu_s=cpu_ms / 4e3, ranks_cpu_s=cpu_ms * 3 / 4e3, counters=counted)


def observed(variant, walls_ms, cell=CELL, **others):
    """One reading a round."""
    return [
        Observation(variant=variant, cell=cell, round=number, readings=[reading(wall_ms, **others)])
        for number, wall_ms in enumerate(walls_ms)
    ]
