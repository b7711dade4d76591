"""The variants by name. A new one is a module with its class, a line here and a card in configs/variants/."""

from __future__ import annotations

import difflib
import importlib
from types import ModuleType

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


def variants_in(module: str) -> dict[str, str]:
    """The strategies that a module defines: name -> `module:Class`, as `strategy_class` takes it. Raises UsageError."""
    found = vars(_module(module, module)).values()
    own = [
        each for each in found if isinstance(each, type) and issubclass(each, Strategy) and each.__module__ == module
    ]
    return {strategy.name: f"{module}:{strategy.__name__}" for strategy in own}


def _imported(variant: str) -> type[Strategy]:
    module, _, name = variant.partition(":")
    found = getattr(_module(module, variant), name, None)
    if found is None:
        raise UsageError(f"cannot import the variant {variant!r}: {module} has no {name}")
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise UsageError(f"{variant!r} is not a mmload.handoff.strategy.Strategy")
    return found


def _module(name: str, wanted: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(f"cannot import {wanted!r}: {error}") from error
