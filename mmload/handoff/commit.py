"""`commit`: SGLang 17a57fd86 (PR #11910). The entry rank builds and broadcasts each object to the others.

Unlike the commit's own code, a build that fails is broadcast too: there the entry rank raised before its broadcast
and the other ranks waited for ever (SGLang PR #37030).
"""

from __future__ import annotations

from typing import Any

from mmload.handoff.strategy import BuildFailed, Request, Strategy


class Commit(Strategy):
    """N builds instead of N x TP, and N broadcasts in which every rank waits for every other."""

    name = "commit"

    def materialise(self, request: Request) -> Any:
        if self.host.size == 1:
            return self.host.build(request.mm_inputs)
        outcome = self.host.broadcast_object(self._build(request) if self.host.is_entry else None)
        if isinstance(outcome, BuildFailed):
            raise outcome
        return outcome

    def _build(self, request: Request) -> Any:
        try:
            return self.host.build(request.mm_inputs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other ranks must hear of it
            return BuildFailed(str(error))
