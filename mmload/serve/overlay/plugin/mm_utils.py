"""Hash, and the copy of features into SGLang's own shared memory, booked where they happen."""

from __future__ import annotations

from typing import Any

from mmload.serve.overlay.shapes import Shape
from mmload.serve.overlay.stages import hash_feature, process

SHAPES = (Shape("hash_feature", ("f",), {}), Shape("wrap_shm_features", ("obj",), {"obj.mm_inputs.mm_items": 1}))


def wrap_shm_features(inner: Any, obj: Any) -> Any:
    if process.counters is None:
        return inner(obj)
    with process.counters.timed("broadcast"):
        return inner(obj)


HOOKS = {"hash_feature": hash_feature, "wrap_shm_features": wrap_shm_features}
