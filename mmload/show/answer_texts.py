"""Two answers that differ, short enough to be read."""

from __future__ import annotations

from mmload.show.terminal_figures import plain

_WRITTEN_OUT = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def shortened(expected: str, given: str, width: int, ellipsis: str = "…") -> tuple[str, str]:
    """Both on one line of at most `width` characters, around the first place where they differ; line breaks written as
    in a program, so that a difference in them is seen."""
    texts = [plain(text.translate(_WRITTEN_OUT)) for text in (expected, given)]
    same = next((place for place, (one, other) in enumerate(zip(*texts, strict=False)) if one != other), None)
    if same is None:
        same = min(map(len, texts))
    start = max(0, same - width // 3) if max(map(len, texts)) > width else 0
    expected, given = (_part(text, start, width, ellipsis) for text in texts)
    return expected, given


def _part(text: str, start: int, width: int, ellipsis: str) -> str:
    before = ellipsis if start else ""
    left = width - len(before)
    after = ellipsis if len(text) - start > left else ""
    return f"{before}{text[start : start + left - len(after)]}{after}"
