"""The variants by name. A new one is a module with its class, a line here and a card in configs/variants/."""

from __future__ import annotations

import difflib
import importlib

from mmload.errors import UsageError
from mmload.handoff.async_broadcast import AsyncBatch, AsyncBroadcast
from mmload.handoff.batch_broadcast import BatchBroadcast, DynamicBatch
from mmload.handoff.combined import Combined
from mmload.handoff.commit import Commit
from mmload.handoff.delayed import Delayed
from mmload.handoff.delta import Delta
from mmload.handoff.optimized import Optimized
from mmload.handoff.original import Original, Rollback
from mmload.handoff.shm import Shm
from mmload.handoff.strategy import Strategy

_VARIANTS: tuple[type[Strategy], ...] = (
    Original,
    Commit,
    Optimized,
    Rollback,
    BatchBroadcast,
    Delayed,
    AsyncBroadcast,
    Combined,
    DynamicBatch,
    AsyncBatch,
    Delta,
    Shm,
)

STRATEGIES = {strategy.name: strategy for strategy in _VARIANTS} | {"stock": Original}


def strategy_class(variant: str) -> type[Strategy]:
    """The strategy of a variant, or that of `module:Class` for one that is being written; raises UsageError."""
    if variant in STRATEGIES:
        return STRATEGIES[variant]
    if ":" in variant:
        return _imported(variant)
    close = difflib.get_close_matches(variant, STRATEGIES, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(STRATEGIES)}"
    raise UsageError(f"unknown variant {variant!r}", hint)


def _imported(variant: str) -> type[Strategy]:
    module, _, name = variant.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"cannot import the variant {variant!r}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise UsageError(f"{variant!r} is not a mmload.handoff.strategy.Strategy")
    return found
