"""`delayed`: solution 2 of the design notes as coded. Each request's raw dict is broadcast again and every rank builds.

Every rank has the dict already, since it came with the request: `rollback` is the same without the broadcast.
"""

from __future__ import annotations

from typing import Any

from mmload.handoff.strategy import BuildFailed, Request, Strategy


class Delayed(Strategy):
    """N x TP builds, side by side on all ranks, and N broadcasts; nothing is built between their two ends."""

    name = "delayed"

    def materialise(self, request: Request) -> Any:
        if self.host.size == 1:
            return self.host.build(request.mm_inputs)
        raw = self.host.broadcast_object(request.mm_inputs if self.host.is_entry else None)
        if isinstance(raw, BuildFailed):
            raise raw
        return self.host.build(raw)
