"""Hash, and the copy of features into SGLang's own shared memory, booked where they happen."""

from mmload.serve.overlay.shapes import Shape
from mmload.serve.overlay.stages import booked_as

SHAPES = (Shape("hash_feature", ("f",), {}), Shape("wrap_shm_features", ("obj",), {"obj.mm_inputs.mm_items": 1}))
HOOKS = {"hash_feature": booked_as("hash"), "wrap_shm_features": booked_as("broadcast")}
