"""Hash, booked where it happens."""

from mmload.serve.overlay.shapes import Shape
from mmload.serve.overlay.stages import hash_feature

SHAPES = (Shape("hash_feature", ("f",), {}),)
HOOKS = {"hash_feature": hash_feature}
