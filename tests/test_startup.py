from __future__ import annotations

import re
import subprocess
import sys

import pytest


@pytest.mark.parametrize("arguments", [["-c", "import mmload.cli"], ["-m", "mmload", "--help"]])
def test_starting_mmload_imports_nothing_that_only_a_command_needs(arguments):
    traced = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True
    )
    imported = set(re.findall(r"^import time:.*\| +(\w+)", traced.stderr, re.MULTILINE))
    assert "mmload" in imported
    assert imported & {"locust", "gevent", "numpy", "aiohttp"} == set()


def test_the_show_package_itself_imports_no_rich():
    listed = subprocess.run(
        [sys.executable, "-c", "import mmload.show, sys; print('rich' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout == "False\n"
