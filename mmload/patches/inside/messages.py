"""SGLang's requests as a strategy sees them: generation and embedding alike, alone or in a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def requests_in(messages: Iterable[Any]) -> Iterator[Any]:
    """The tokenized requests among what a scheduler received, and much else that carries no media."""
    for message in messages:
        batch = getattr(message, "batch", None)
        yield from batch if isinstance(batch, list) else (message,)


def media_field(request: Any) -> str | None:
    """Where a request's media are, if it has any: embedding requests have a name of their own for it."""
    for field in ("mm_inputs", "image_inputs"):
        if getattr(request, field, None) is not None:
            return field
    return None
