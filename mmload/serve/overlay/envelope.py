"""How a strategy's payload travels in a tokenized request, in the place of SGLang's own inputs."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any


class Envelope:
    """A payload that is not of SGLang's own kinds. It goes by pickle as the request does; SGLang's transport, which
    looks for features to carry, finds none.

    One that is forgotten before it was sent withdraws its payload: its request never leaves.
    """

    mm_items = ()  # read by SGLang from 0.5.9 on, to put features into its shared memory

    def __init__(self, payload: Any, withdraw: Callable[[Any], None] | None = None) -> None:
        self.payload = payload
        self._withdrawal = None if withdraw is None else weakref.finalize(self, withdraw, payload)

    def sent(self) -> None:
        """It is the ranks' from now on."""
        if self._withdrawal is not None:
            self._withdrawal.detach()

    def __reduce__(self) -> tuple[type[Envelope], tuple[Any]]:
        return Envelope, (self.payload,)


def opened(inputs: Any) -> Any:
    """The payload, whether it came in an envelope or not."""
    return inputs.payload if isinstance(inputs, Envelope) else inputs
