"""Python imports this at its start when its folder is first on PYTHONPATH: in SGLang's main process and, because
children inherit the environment, in every rank.

$MMLOAD_HOOKS names modules of ours, each with a function `install()`: only import hooks are registered here. The
sitecustomize that this one hides runs too, before it. An error here must end the process: Python itself would print it
and go on without the overlay, as a stock server.
"""

import importlib
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_PACKAGE = _HERE.parents[2]


def _run_the_hidden() -> None:
    others = [entry for entry in sys.path if Path(entry or ".").resolve() != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def _reach_mmload() -> None:
    """Make `mmload` importable, and nothing else of the environment that it is installed in."""
    spec = importlib.util.spec_from_file_location(
        "mmload", _PACKAGE / "__init__.py", submodule_search_locations=[str(_PACKAGE)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mmload"] = module
    spec.loader.exec_module(module)


_run_the_hidden()
if os.environ.get("MMLOAD_HOOKS"):
    if sys.version_info < (3, 11):  # noqa: UP036 - SGLang's Python, not that of mmload
        sys.exit(f"mmload's hooks need Python 3.11 or later, and {sys.executable} is {sys.version.split()[0]}")
    try:
        _reach_mmload()
        for name in os.environ["MMLOAD_HOOKS"].split(","):
            importlib.import_module(name).install()
    except Exception as error:  # noqa: BLE001 - see above
        sys.exit(f"mmload's hooks can't be installed: {error}")
