"""Hooks SGLang's modules as soon as they are imported, in the versions that have no plugins.

From 0.5.16 on SGLang loads plugins, ours too, in its main process before it imports the HTTP server: then nothing is
hooked here, and a server that did not load it is refused.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from mmload.serve.overlay.imports import patch_on_import
from mmload.serve.overlay.shapes import find, refuse, refuse_others

_HTTP_SERVER = "sglang.srt.entrypoints.http_server"
_HOOKS = {
    _HTTP_SERVER: "mmload.serve.overlay.older.http_server",
    "sglang.srt.managers.mm_utils": "mmload.serve.overlay.older.mm_utils",
    "sglang.srt.managers.scheduler": "mmload.serve.overlay.older.scheduler",
    "sglang.srt.managers.tokenizer_manager": "mmload.serve.overlay.older.tokenizer_manager",
}
_PLUGIN = "mmload.serve.overlay.plugin.entry"


def install() -> None:
    """Have SGLang's modules hooked as soon as they are imported."""
    patch_on_import(dict.fromkeys(_HOOKS, _hook))


def _hook(module: ModuleType) -> None:
    """Put our hooks around the functions of one of SGLang's modules, or end the process."""
    if importlib.util.find_spec("sglang.srt.plugins") is not None:
        if module.__name__ == _HTTP_SERVER and _PLUGIN not in sys.modules:
            refuse("SGLang did not load the plugin `mmload`: does $SGLANG_PLUGINS name others?")
        return
    ours: Any = importlib.import_module(_HOOKS[module.__name__])
    refuse_others(module, ours.SHAPES)
    for where, hook in ours.HOOKS.items():
        owner, name = find(module, where) or refuse(f"{module.__name__}.{where} is not there")
        setattr(owner, name, _around(getattr(owner, name), hook))


def _around(inner: Callable[..., Any], hook: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(inner)
    def hooked(*args: Any, **more: Any) -> Any:
        return hook(inner, *args, **more)

    return hooked
