"""CPU seconds that `import mmload.cli` and `mmload --help` cost, each in a fresh Python.

    python bench/startup.py [RUNS]

Exits 1 when one of them imports what only a command that uses it may import.
"""

from __future__ import annotations

import re
import resource
import statistics
import subprocess
import sys

HEAVY = {"locust", "gevent", "numpy", "aiohttp"}
COMMANDS = {"import mmload.cli": ["-c", "import mmload.cli"], "mmload --help": ["-m", "mmload", "--help"]}


def imported(arguments: list[str]) -> set[str]:
    """The top-level modules that a Python with these arguments imports."""
    traced = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True
    )
    return set(re.findall(r"^import time:.*\| +([\w]+)", traced.stderr, re.MULTILINE))


def cpu_s(arguments: list[str]) -> float:
    """User and system seconds of one such Python."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(runs: int) -> int:
    heavy = False
    for name, arguments in COMMANDS.items():
        found = sorted(imported(arguments) & HEAVY)
        heavy = heavy or bool(found)
        seconds = [cpu_s(arguments) for _ in range(runs)]
        spread = f"median {statistics.median(seconds):.3f}, {min(seconds):.3f} to {max(seconds):.3f} CPU-s"
        print(f"{name:<18} {spread} over {runs} runs{'; imports ' + ', '.join(found) if found else ''}")
    return int(heavy)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
