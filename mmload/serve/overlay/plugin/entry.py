"""What runs in each of SGLang's processes when its plugins are loaded: what is in memory is hooked by then, the rest
when SGLang comes to import it.

The registry itself can't wait: it imports what a hook names in order to apply it, in the main process before SGLang has
read its own command line. So the import hook that serves the older versions says when a module is there.

An error here must end the process: the loader would log it and go on without the overlay, as a stock server.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from mmload.serve.overlay.imports import patch_on_import
from mmload.serve.overlay.shapes import refuse, refuse_others

_HOOKS = {
    "sglang.srt.entrypoints.http_server": f"{__package__}.http_server",
    "sglang.srt.managers.mm_utils": f"{__package__}.mm_utils",
    "sglang.srt.managers.scheduler": f"{__package__}.scheduler",
    "sglang.srt.managers.scheduler_components.request_receiver": f"{__package__}.request_receiver",
    "sglang.srt.managers.tokenizer_manager": f"{__package__}.tokenizer_manager",
}


def register() -> None:
    """The loader applies the hooks that are registered here, when other plugins have registered theirs too."""
    later = _HOOKS.keys() - sys.modules.keys()
    patch_on_import(dict.fromkeys(later, _hook))
    for theirs in _HOOKS.keys() - later:
        _register(sys.modules[theirs])


def _hook(module: ModuleType) -> None:
    _register(module).apply_hooks()


def _register(module: ModuleType) -> Any:
    """SGLang's registry, with our hooks for one of its modules; ends the process where that is not as expected."""
    try:
        plugins: Any = importlib.import_module("sglang.srt.plugins.hook_registry")
        ours: Any = importlib.import_module(_HOOKS[module.__name__])
        refuse_others(module, ours.SHAPES)
        registry, source = plugins.HookRegistry, plugins.HookSource("mmload", None)
        for name, hook in ours.HOOKS.items():
            registry.register(f"{module.__name__}.{name}", hook, plugins.HookType.AROUND, source=source)
    except Exception as error:  # noqa: BLE001 - see above
        refuse(f"{module.__name__} can't be hooked: {error}")
    return registry
