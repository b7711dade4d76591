"""The multimodal inputs of a request, built as SGLang's `MultimodalInputs.from_dict` builds them: object and hash.

The raw form, which the processor makes and `original` sends to every rank:

    {"mm_items": [{"modality": "IMAGE", "feature": float32 array (patches, 1176), "grid": (t, h, w)}, ...]}

Audio is {"modality": "AUDIO", "feature": float32 array (128, frames), "grid": None}.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmload.handoff.counters import Counters
from mmload.handoff.strategy import BuildFailed

_MODELLED_FLOATS = 1024  # what a modelled build hashes instead of all


@dataclass(slots=True)
class MultimodalDataItem:
    """One image, video or audio. hash: 64 bits of the features' SHA-256. pad_value: what stands for it in the prompt
    when the prefix cache looks for a match."""

    modality: str
    feature: NDArray[np.float32]
    grid: tuple[int, int, int] | None
    hash: int | None = None
    pad_value: int | None = None

    def set_pad_value(self) -> None:
        if self.hash is None:
            self.hash = hash_feature(self.feature)
        self.pad_value = self.hash % (1 << 30)

    def validate(self) -> None:
        """Raises BuildFailed unless the features are what their modality and grid say."""
        feature = self.feature
        if not isinstance(feature, np.ndarray) or feature.dtype != np.float32 or feature.ndim != 2:
            raise BuildFailed(f"malformed {self.modality} feature: expected a float32 matrix")
        if self.grid is not None and feature.shape[0] != self.grid[0] * self.grid[1] * self.grid[2]:
            raise BuildFailed(f"malformed {self.modality} feature: {feature.shape[0]} patches for grid {self.grid}")


@dataclass(slots=True)
class MultimodalInputs:
    """All media of one request, in the order of the prompt."""

    mm_items: list[MultimodalDataItem]


def from_dict(raw: Any, counters: Counters, modelled_s: float | None = None) -> MultimodalInputs:
    """Object construction (booked as `build`) and hash (booked as `hash`). Raises BuildFailed on malformed features.

    modelled_s: how long the build is to take, asleep, in place of the hash; the object is then known by the first
    bytes of its features. Sleeping is no CPU time: what is measured and what is modelled stay apart."""
    with counters.timed("build"):
        try:
            items = [MultimodalDataItem(**item) for item in raw["mm_items"]]
        except (TypeError, KeyError) as error:
            raise BuildFailed(f"malformed multimodal inputs: {error}") from error
        for item in items:
            item.validate()
            if modelled_s is not None:
                item.hash = hash_feature(item.feature.reshape(-1)[:_MODELLED_FLOATS])
            with counters.timed("hash"):
                item.set_pad_value()
        if modelled_s is not None:
            time.sleep(modelled_s)
    counters.add("objects_built")
    return MultimodalInputs(items)


def hash_feature(feature: NDArray[np.float32]) -> int:
    """The first 8 bytes of the SHA-256, as SGLang's `data_hash`."""
    digest = hashlib.sha256(np.ascontiguousarray(feature).data).digest()
    return int.from_bytes(digest[:8], "big")
