r"""The Prometheus text format, as far as a scrape needs it.

    line   = name [ "{" labels "}" ] value [ timestamp ] [ "#" exemplar ] | "#" comment | empty
    labels = name "=" '"' ( any but '"' and '\' | '\' any )* '"' { "," .. }

https://prometheus.io/docs/instrumenting/exposition_formats/. A histogram is its `_bucket`, `_sum` and `_count` lines.
"""

from __future__ import annotations

import re

_LINE = re.compile(
    r"""
    (?P<key> [a-zA-Z_:][a-zA-Z0-9_:]* (?: \{ (?: [^"}] | " (?: [^"\\] | \\. )* " )* \} )? )
    \s+ (?P<value> \S+ )
    (?: \s+ -?\d+ (?:\.\d+)? )?   # timestamp
    \s* (?: \#.* )?               # exemplar
    """,
    re.VERBOSE,
)


_LONGEST_LINE = 65_536  # a longer one is no metric, and would take the expression a hundred bytes a character


def parse_prometheus(text: str) -> dict[str, float]:
    """'name' or 'name{label="value",..}', as printed, -> value; NaN and Inf as such. Raises ValueError for a line that
    is no sample, with its number: the page is something else."""
    metrics: dict[str, float] = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        sample = _LINE.fullmatch(stripped) if len(stripped) <= _LONGEST_LINE else None
        try:
            metrics[sample["key"]] = float(sample["value"])  # type: ignore[index]
        except (TypeError, ValueError):
            raise ValueError(f"line {number} is no Prometheus sample: {stripped[:60]!r}") from None
    return metrics
