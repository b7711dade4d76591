"""Golden files of the terminal views: `MMLOAD_RENEW_GOLDEN=1 pytest tests/show` writes them anew; look at the diff."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

_GOLDEN = Path(__file__).parent.parent / "golden" / "show"


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Asserts that a text is the one stored under a name."""

    def check(name: str, text: str) -> None:
        path = _GOLDEN / f"{name}.txt"
        if os.environ.get("MMLOAD_RENEW_GOLDEN") == "1":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return check
