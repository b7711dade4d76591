"""What the latencies of a run are called, wherever they are shown."""

from __future__ import annotations

from typing import NamedTuple


class Latency(NamedTuple):
    """field: of a summary, and of a run's curves. label: where it stands among others. meaning: from when to when."""

    field: str
    label: str
    name: str
    meaning: str


LATENCIES = (
    Latency("response_ms", "response", "response time", "due to done: what is gated"),
    Latency("service_ms", "service", "service time", "sent to done"),
    Latency("ttft_ms", "TTFT", "TTFT", "due to the first token"),
    Latency("itl_ms", "ITL", "ITL", "between tokens"),
    Latency("tpot_ms", "TPOT", "TPOT", "per token after the first"),
)
FEWEST_FOR_P99 = 100  # of fewer values it is the longest
