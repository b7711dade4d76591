"""`commit`: SGLang 17a57fd86 (PR #11910). The entry rank builds and broadcasts each object to the others.

Unlike the commit's own code, a build that fails is broadcast too: there the entry rank raised before its broadcast
and the other ranks waited for ever (SGLang PR #37030).
"""

from __future__ import annotations

from typing import Any

from mmload.handoff.strategy import BuildFailed, Request, Strategy, build_or_failure


class Commit(Strategy):
    """N builds instead of N x TP, and N broadcasts in which every rank waits for every other."""

    name = "commit"

    def materialise(self, request: Request) -> Any:
        if self.host.size == 1:
            return self.host.build(request.mm_inputs)
        built = build_or_failure(self.host, request.mm_inputs) if self.host.is_entry else None
        outcome = self.host.broadcast_object(built)
        if isinstance(outcome, BuildFailed):
            raise outcome
        return outcome
