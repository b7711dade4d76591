"""A timeline for other programs: JSON, or CSV with a row for each bin."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import msgspec
import numpy as np

from mmload.analyse.timeline import Timeline


def timeline_json(timeline: Timeline) -> str:
    """One object; what is unknown or infinite is null."""
    return msgspec.json.encode(timeline, enc_hook=_plain).decode() + "\n"


def timeline_csv(timeline: Timeline) -> str:
    """t_s, phase, then each series; an unknown value is empty, an infinite one is inf."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["t_s", "phase", *timeline.series])
    columns = [[_cell(value) for value in values.tolist()] for values in timeline.series.values()]
    writer.writerows(zip(timeline.t_s, timeline.phase, *columns, strict=True))
    return text.getvalue()


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.10g}"


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise NotImplementedError(type(value).__name__)
