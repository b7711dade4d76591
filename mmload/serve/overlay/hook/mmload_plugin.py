"""What the entry point beside it names: SGLang from 0.5.16 on calls it in each of its processes."""

import importlib
import os


def register() -> None:
    """Host the variant that is asked for; without one the server stays as it is."""
    if os.environ.get("MMLOAD_OVERLAY_VARIANT"):
        importlib.import_module("mmload.serve.overlay.plugin.entry").register()
