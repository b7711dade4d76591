"""Which modules of SGLang are patched, and by what. Imports the patches only when they are needed."""

from __future__ import annotations

import importlib
from types import ModuleType

from mmload.serve.overlay.imports import Patch, patch_on_import

_PATCHES = {
    "sglang.srt.managers.mm_utils": "mmload.serve.overlay.stages",
    "sglang.srt.managers.scheduler": "mmload.serve.overlay.rank",
    "sglang.srt.managers.tokenizer_manager": "mmload.serve.overlay.tokenizer",
    "sglang.srt.entrypoints.http_server": "mmload.serve.overlay.server",
}


def install() -> None:
    """Register the patches of this process. Each module of ours has a function `patch(module)`."""
    patch_on_import({theirs: _patch_of(ours) for theirs, ours in _PATCHES.items()})


def _patch_of(ours: str) -> Patch:
    def patch(module: ModuleType) -> None:
        importlib.import_module(ours).patch(module)

    return patch
