"""Lets stock SGLang start without a GPU. It runs in SGLang's environment, in every process, as the overlay does.

The vision tower only reshapes its patches, so different images still give different answers: the real one takes about
four CPU-seconds a rank for an image of 1920x1080. $MMLOAD_SLOW_VISION keeps it.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from types import ModuleType
from typing import Any

from mmload.serve.overlay.imports import Patch, patch_on_import
from mmload.serve.sglang_cpu.absent import AbsentFinder, Missing

ENGINE = "sglang-cpu"
# Fetched by 0.5.23's models/qwen3_5.py when it is imported.
_FETCHED = (
    "fused_gdn_gating_cpu",
    "fused_input_proj_cpu",
    "fused_qk_gemma_rmsnorm_cpu",
    "fused_qk_gemma_rmsnorm_with_gate_cpu",
    "fused_qkvzba_split_reshape_cat_contiguous_cpu",
    "fused_qkvzba_split_reshape_cat_cpu",
    "fused_sigmoid_mul_cpu",
)


def install() -> None:
    after: dict[str, Patch] = {
        "torch": _without_a_gpu,
        "torch.utils._triton": _without_triton,
        "torchvision.extension": _declare_ops,
        "transformers.image_processing_utils_fast": lambda module: _on_the_cpu(module.BaseImageProcessorFast),
        "transformers.video_processing_utils": lambda module: _on_the_cpu(module.BaseVideoProcessor),
        "sglang.srt.entrypoints.http_server": _say_so,
    }
    if not os.environ.get("MMLOAD_SLOW_VISION"):
        after |= {
            "sglang.srt.models.qwen2_5_vl": _reshape_for_vision,
            "sglang.srt.models.qwen2_vl": _reshape_for_vision,
        }
    patch_on_import(after)
    sys.meta_path.insert(0, AbsentFinder())


def _without_a_gpu(torch: Any) -> None:
    """A build for CUDA is no other: SGLang would look for NCCL."""
    torch.version.cuda = None
    torch.Tensor.pin_memory = lambda self, *_args, **_more: self
    for name in _FETCHED:
        setattr(torch.ops.sgl_kernel, name, Missing(f"torch.ops.sgl_kernel.{name}"))


def _without_triton(module: Any) -> None:
    """SGLang needs triton's names, torch does without the package."""
    module.has_triton_package = lambda: False


def _declare_ops(extension: Any) -> None:
    """torchvision's compiled part can't be loaded beside a torch for another device; its Python part only needs these
    two names to exist."""
    if extension._has_ops():  # noqa: SLF001 - torchvision's
        return
    torch: Any = importlib.import_module("torch")
    ops = vars(torch)["library"].Library("torchvision", "FRAGMENT")
    for op in ("nms", "qnms"):
        ops.define(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    extension.mmload_ops = ops  # torch forgets them otherwise


def _on_the_cpu(processor: Any) -> None:
    """SGLang asks the fast image and video processors for the device `cuda`, whatever the machine."""
    inner = processor.__call__

    @functools.wraps(inner)
    def call(self: Any, *args: Any, **more: Any) -> Any:
        if more.get("device") == "cuda":
            more["device"] = "cpu"
        return inner(self, *args, **more)

    processor.__call__ = call


def _reshape_for_vision(module: ModuleType) -> None:
    """A slice of the patches themselves stands for their embedding."""

    def forward(self: Any, x: Any, grid_thw: Any, *_args: Any, **_more: Any) -> Any:  # noqa: ARG001 - SGLang's
        merged = getattr(self, "spatial_merge_size", 2) ** 2
        matrices = [parameter for parameter in self.merger.parameters() if parameter.dim() == 2]
        width = getattr(self, "out_hidden_size", None) or matrices[-1].shape[0]
        slices = x.reshape(x.shape[0] // merged, -1)[:, :width] * 4
        return slices.to(dtype=matrices[-1].dtype)

    for name in ("Qwen2_5_VisionTransformer", "Qwen2VisionTransformer"):
        if hasattr(module, name):
            getattr(module, name).forward = forward


def _say_so(http_server: Any) -> None:
    """/server_info names the engine: nobody shall take its figures for those of a GPU."""
    inner = http_server.set_global_state

    @functools.wraps(inner)
    def set_global_state(state: Any) -> None:
        state.scheduler_info["engine"] = ENGINE
        inner(state)

    http_server.set_global_state = set_global_state
