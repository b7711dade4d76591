"""The stacks of a run for speedscope (https://www.speedscope.app): one file with a profile for each process.

The format is that of speedscope's src/lib/file-format-spec.ts; a stack lists its frames from the root on.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

import mmload
from mmload.analyse.stacks import parse_frame

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def speedscope(run_id: str, profiles: Mapping[str, Mapping[str, int]], rate_hz: int) -> str:
    """profiles: process -> folded stack -> samples. Weights are seconds, or samples where the rate is unknown (0)."""
    places: dict[str, int] = {}
    drawn = [_profile(name, stacks, rate_hz, places) for name, stacks in profiles.items()]
    document = {
        "$schema": _SCHEMA,
        "name": run_id,
        "exporter": f"mmload {mmload.__version__}",
        "activeProfileIndex": 0,
        "shared": {"frames": [_frame(text) for text in places]},
        "profiles": drawn,
    }
    return msgspec.json.encode(document).decode() + "\n"


def _profile(name: str, stacks: Mapping[str, int], rate_hz: int, places: dict[str, int]) -> dict[str, object]:
    """places: frame -> its place among the shared ones, which new frames are added to."""
    return {
        "type": "sampled",
        "name": name,
        "unit": "seconds" if rate_hz else "none",
        "startValue": 0,
        "endValue": sum(stacks.values()) / (rate_hz or 1),
        "samples": [[places.setdefault(frame, len(places)) for frame in stack.split(";")] for stack in stacks],
        "weights": [samples / (rate_hz or 1) for samples in stacks.values()],
    }


def _frame(text: str) -> dict[str, object]:
    """Without a file where there is none, without a line where that is unknown."""
    function, file, line = parse_frame(text)
    return {"name": function} | ({"file": file} if file else {}) | ({"line": line} if line else {})
