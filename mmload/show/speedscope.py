"""The stacks of a run for speedscope (https://www.speedscope.app): one file with a profile for each process.

The format is that of speedscope's src/lib/file-format-spec.ts; a stack lists its frames from the root on. A frame is a
function with all its lines, so that the sandwich view has each once. Weights are samples by time, not CPU: a wait that
sleeps counts too, as the name of each profile says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

import mmload
from mmload.analyse.flame_document import label_of
from mmload.analyse.stacks import parse_frame

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"

_Function = tuple[str, str]  # its name and file


def speedscope(run_id: str, profiles: Mapping[str, Mapping[str, int]], rate_hz: int) -> str:
    """profiles: process -> folded stack -> samples. Weights are seconds, or samples where the rate is unknown (0)."""
    places: dict[_Function, int] = {}
    drawn = [_profile(name, stacks, rate_hz, places) for name, stacks in profiles.items()]
    document = {
        "$schema": _SCHEMA,
        "name": run_id,
        "exporter": f"mmload {mmload.__version__}",
        "activeProfileIndex": 0,
        "shared": {"frames": [_frame(*function) for function in places]},
        "profiles": drawn,
    }
    return msgspec.json.encode(document).decode() + "\n"


def _profile(name: str, stacks: Mapping[str, int], rate_hz: int, places: dict[_Function, int]) -> dict[str, object]:
    """places: function -> its place among the shared frames, which new ones are added to."""
    counts: Counter[tuple[int, ...]] = Counter()
    for stack, samples in stacks.items():
        functions = (parse_frame(text)[:2] for text in stack.split(";"))
        counts[tuple(places.setdefault(function, len(places)) for function in functions)] += samples
    rate = f" at {rate_hz:,} Hz" if rate_hz else ""
    return {
        "type": "sampled",
        "name": f"{label_of(name)}: samples{rate}, sleeping waits included",
        "unit": "seconds" if rate_hz else "none",
        "startValue": 0,
        "endValue": counts.total() / (rate_hz or 1),
        "samples": list(counts),
        "weights": [samples / (rate_hz or 1) for samples in counts.values()],
    }


def _frame(function: str, file: str) -> dict[str, str]:
    """Without a file where there is none."""
    return {"name": function} | ({"file": file} if file else {})
