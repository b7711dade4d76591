"""Other work on the host beside a run: processes that burn every core, at the lowest priority."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mmload.tether import tethered

_BURN = "import os\nos.nice(19)\nwhile True: pass"


@contextmanager
def hogs() -> Iterator[None]:
    """One for each core, for as long as the block runs."""
    started = [subprocess.Popen(tethered([sys.executable, "-c", _BURN])) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for hog in started:
            hog.kill()
            hog.wait()
