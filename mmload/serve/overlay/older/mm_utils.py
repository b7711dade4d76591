"""Hash, booked where it happens."""

from mmload.serve.overlay.shapes import Shape
from mmload.serve.overlay.stages import booked_as

SHAPES = (Shape("hash_feature", ("f",), {}),)
HOOKS = {"hash_feature": booked_as("hash")}
