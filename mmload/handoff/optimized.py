"""`optimized`: optimized_implementation.patch. The tokenizer builds; the request travels with the finished object."""

from __future__ import annotations

from typing import Any

from mmload.handoff.strategy import Request, Strategy


class Optimized(Strategy):
    """N builds, outside the schedulers, and no synchronisation beyond the existing `broadcast_pyobj`."""

    name = "optimized"

    def at_tokenizer(self, raw: Any) -> Any:
        return self.host.build(raw)

    def materialise(self, request: Request) -> Any:
        return request.mm_inputs
