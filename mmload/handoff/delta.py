"""`delta`: future work 3 of the design notes. As `batch-broadcast`, but a feature that the other ranks have seen is not
sent again: its hash is.

    entry rank      item with feature  --known-->    item with Seen(hash, shape, dtype)   --\
                                       --unknown-->  item as it is; remembered            --/  one broadcast
    other ranks     Seen -> the remembered feature; a feature -> remembered, in the same order

All ranks do the same to their memories of features in the same order, so these agree without a word. Where one does
not after all, the rank that lacks a feature builds that request from its dict, and has it from then on.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from mmload.handoff.batch_broadcast import BatchBroadcast, outcome_in
from mmload.handoff.counters import Counters
from mmload.handoff.ready import MOST_REQUESTS, first_of_each
from mmload.handoff.strategy import BuildFailed, Host, Request

MOST_FEATURES = 1000
MOST_FEATURE_BYTES = 256 << 20  # on each rank


class Seen(NamedTuple):
    """Stands for a feature. Shape and type too, because the hash is of the bytes alone."""

    hash: int
    shape: tuple[int, ...]
    dtype: str


class Delta(BatchBroadcast):
    """N builds, a broadcast for each receive batch, and the bytes of each different feature once.

    The inputs object holds its features as SGLang's does: `mm_items`, each with a `feature` (an array or a tensor) and
    the `hash` that the build left there. An item without either is always sent as it is.
    """

    name = "delta"

    def __init__(
        self,
        host: Host,
        entries: int = MOST_REQUESTS,
        features: int = MOST_FEATURES,
        feature_bytes: int = MOST_FEATURE_BYTES,
    ) -> None:
        super().__init__(host, entries)
        self._seen = Features(features, feature_bytes, host.counters)

    def on_receive(self, requests: Sequence[Request]) -> None:
        if self.host.size == 1:
            return
        raws = first_of_each(requests)
        built = self.build_all(raws) if self.host.is_entry else {}
        sent = {rid: self._stripped(outcome) for rid, outcome in built.items()} if self.host.is_entry else None
        received = self.host.broadcast_object(sent)
        if isinstance(received, BuildFailed):
            self._seen.clear()  # on every rank: what the entry rank meant to send was not seen
        for rid in raws:
            self.put(rid, built[rid] if self.host.is_entry else self._filled(outcome_in(received, rid)))

    def build_here(self, request: Request, why: str) -> Any:
        inputs = super().build_here(request, why)
        for item in getattr(inputs, "mm_items", ()):
            key = key_of(item)
            if key is not None and key not in self._seen:
                self._seen.remember(key, item.feature)
        return inputs

    def close(self) -> None:
        super().close()
        self._seen.clear()

    def _stripped(self, outcome: Any) -> Any:
        """The inputs without the features that the others have; the object itself stays whole."""
        sent = _with_own_items(outcome)
        for item in getattr(sent, "mm_items", ()):
            key = key_of(item)
            if key is not None and self._seen.recall(key) is not None:
                item.feature = key
            elif key is not None:
                self._seen.remember(key, item.feature)
        return sent

    def _filled(self, outcome: Any) -> Any:
        """The inputs with all features, or a BuildFailed where this rank lacks one. All of them are gone through in
        either case: what the entry rank remembers, this one does too."""
        lacking = None
        for item in getattr(outcome, "mm_items", ()):
            key = item.feature if isinstance(item.feature, Seen) else key_of(item)
            if isinstance(item.feature, Seen):
                item.feature = self._seen.recall(item.feature)
                lacking = key if item.feature is None else lacking
            elif key is not None:
                self._seen.remember(key, item.feature)
        if lacking is None:
            return outcome
        return BuildFailed(f"rank {self.host.rank} lacks the feature {lacking.hash:016x} that was sent as its hash")


class Features:
    """Features by what stands for them, at most so many and so many bytes; the one not used for longest goes first."""

    def __init__(self, entries: int, most_bytes: int, counters: Counters) -> None:
        self._entries = entries
        self._most_bytes = most_bytes
        self._counters = counters
        self._features: OrderedDict[Seen, Any] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._features)

    def __contains__(self, key: Seen) -> bool:
        return key in self._features

    def recall(self, key: Seen) -> Any | None:
        """None where it is not there (any more)."""
        feature = self._features.get(key)
        if feature is not None:
            self._features.move_to_end(key)
            self._counters.add("feature_hits")
        return feature

    def remember(self, key: Seen, feature: Any) -> None:
        """Unless it is larger than all may be together."""
        if feature.nbytes > self._most_bytes:
            return
        if key in self._features:
            self.bytes -= self._features.pop(key).nbytes
        self._features[key] = feature
        self.bytes += feature.nbytes
        while self.bytes > self._most_bytes or len(self._features) > self._entries:
            _, dropped = self._features.popitem(last=False)
            self.bytes -= dropped.nbytes
            self._counters.add("feature_evictions")

    def clear(self) -> None:
        self._features.clear()
        self.bytes = 0


def key_of(item: Any) -> Seen | None:
    """What stands for the item's feature; None for one that can't be told from others."""
    feature = item.feature
    if item.hash is None or not all(hasattr(feature, name) for name in ("shape", "dtype", "nbytes")):
        return None
    return Seen(item.hash, tuple(feature.shape), str(feature.dtype))


def _with_own_items(outcome: Any) -> Any:
    if not hasattr(outcome, "mm_items"):
        return outcome
    sent = copy.copy(outcome)
    sent.mm_items = [copy.copy(item) for item in outcome.mm_items]
    return sent
