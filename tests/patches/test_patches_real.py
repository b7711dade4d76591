"""Patches of real SGLang packages, where some are at hand: those that $MMLOAD_SGLANG_PACKAGES names (`:` between folders),
else those that `mmload engine setup sglang-cpu` fetched."""

import os
import re
import shutil
from pathlib import Path

import pytest
from fake_sglang import git

from mmload.handoff.registry import STRATEGIES
from mmload.patches.recipes import TRIED, make_patch
from mmload.patches.tree import Tree
from mmload.serve.sglang_cpu.place import CpuEngine

_NAMED = os.environ.get("MMLOAD_SGLANG_PACKAGES")
_FETCHED = [CpuEngine.of(version).package for version in CpuEngine.of().config.versions if version in TRIED]
PACKAGES = [Path(name) for name in _NAMED.split(":")] if _NAMED else _FETCHED
VARIANTS = sorted(set(STRATEGIES) - {"stock"})


@pytest.fixture(scope="module", params=PACKAGES, ids=lambda path: path.name)
def package(request, tmp_path_factory):
    """A copy, in a repository of its own."""
    if not (request.param / "sglang").is_dir():
        pytest.skip(f"no SGLang in {request.param}: mmload engine setup sglang-cpu")
    copy = tmp_path_factory.mktemp("package")
    tree = Tree(request.param)
    shutil.copytree(tree.package, copy / "sglang", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    git(copy, "init", "--quiet")
    return copy


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_real_package_takes_every_patch_and_is_python_still(package, variant):
    patch = make_patch(variant, package)
    if not patch.diff:
        assert variant == "original"
        return
    git(package, "apply", "--check", text=patch.diff)
    git(package, "apply", text=patch.diff)
    try:
        for name in re.findall(r"^\+\+\+ b/(.*)$", patch.diff, re.MULTILINE):
            compile((package / name).read_text(), name, "exec")
        assert make_patch(variant, package).diff == ""
    finally:
        git(package, "apply", "-R", text=patch.diff)
