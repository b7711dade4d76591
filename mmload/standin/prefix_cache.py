"""Which prompt prefixes the device has computed before, as SGLang's radix cache would know it, in coarser steps.

A prefix is a chain of segments: a run of words, an image, a video. Its key is the hash of its last segment's key and of
the key before, so that one flat table in order of use is enough.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable


class PrefixCache:
    """At most `capacity_tokens` tokens of segments, the least recently used dropped first."""

    def __init__(self, capacity_tokens: int) -> None:
        self._capacity = capacity_tokens
        self._segments: OrderedDict[bytes, int] = OrderedDict()
        self._tokens = 0

    def match(self, segments: Iterable[tuple[bytes, int]]) -> int:
        """How many leading tokens of these (key, tokens) are cached; from now on all of them are. The last token of a
        prompt is always computed, since the first answer token comes from it."""
        cached = total = 0
        hit = True
        chain = b""
        for key, tokens in segments:
            chain = hashlib.blake2b(chain + key, digest_size=16).digest()
            total += tokens
            hit = hit and chain in self._segments
            if hit:
                cached += tokens
            self._touch(chain, tokens)
        return min(cached, total - 1)

    def clear(self) -> None:
        self._segments.clear()
        self._tokens = 0

    def _touch(self, chain: bytes, tokens: int) -> None:
        if chain not in self._segments:
            self._segments[chain] = tokens
            self._tokens += tokens
        self._segments.move_to_end(chain)
        while self._tokens > self._capacity and len(self._segments) > 1:
            _, dropped = self._segments.popitem(last=False)
            self._tokens -= dropped
