"""Pickles without the bytes of the tensors in them (protocol 5, out of band): torch itself would copy those in."""

from __future__ import annotations

import importlib
import io
import pickle
import warnings
from collections.abc import Sequence
from typing import Any

FEWEST_BYTES = 4096  # below a page a tensor of its own costs more than its copy

# A tensor over a mapped segment can't be written to. torch has no word for that and warns; SGLang only reads features.
warnings.filterwarnings("ignore", message="The given buffer is not writable", category=UserWarning)


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, buffers: list[pickle.PickleBuffer]) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffers.append)
        self._torch: Any = importlib.import_module("torch")

    def reducer_override(self, obj: Any) -> Any:
        torch = self._torch
        if type(obj) is not torch.Tensor or obj.device.type != "cpu" or obj.layout is not torch.strided:
            return NotImplemented
        if obj.nbytes < FEWEST_BYTES or obj.requires_grad or obj.is_quantized or obj.is_conj() or obj.is_neg():
            return NotImplemented
        flat = obj.contiguous().reshape(-1).view(torch.uint8).numpy()
        return tensor_over, (pickle.PickleBuffer(flat), str(obj.dtype).removeprefix("torch."), tuple(obj.shape))


def tensor_over(buffer: Any, dtype: str, shape: tuple[int, ...]) -> Any:
    """The tensor whose values lie in `buffer`."""
    torch: Any = importlib.import_module("torch")
    return torch.frombuffer(buffer, dtype=getattr(torch, dtype)).reshape(shape)


def pickle_apart(obj: Any) -> tuple[bytes, list[memoryview]]:
    """The pickle without the bytes of its tensors and arrays, and those bytes, not copied where they are in one
    piece."""
    file, buffers = io.BytesIO(), list[pickle.PickleBuffer]()
    _Pickler(file, buffers).dump(obj)
    return file.getvalue(), [buffer.raw() for buffer in buffers]


def unpickle_joined(head: bytes, buffers: Sequence[memoryview]) -> Any:
    """The object of `pickle_apart`; its tensors and arrays lie in `buffers`."""
    return pickle.loads(head, buffers=buffers)  # noqa: S301 - from this server's own processes
