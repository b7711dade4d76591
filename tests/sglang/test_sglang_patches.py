"""A patched SGLang serves the answers of the unpatched one."""

import shutil

import pytest
from fake_sglang import git
from sglang_asked import answers_of
from sglang_server import SglangServer

from mmload.patches.recipes import make_patch
from mmload.serve.sglang_cpu.place import CpuEngine

pytestmark = pytest.mark.sglang


@pytest.fixture
def patched_engine(tmp_path, monkeypatch):
    """patched_engine(variant): from here on the engine is one whose package was patched so."""
    engine = CpuEngine.ready()
    place = tmp_path / "cache" / engine.folder.name

    def patch(variant):
        package = place / engine.package.name
        shutil.copytree(engine.package, package, ignore=shutil.ignore_patterns("__pycache__"))
        for part in engine.parts:
            if part.folder != engine.package:
                (place / part.folder.name).symlink_to(part.folder)
        git(package, "init", "--quiet")
        diff = make_patch(variant, package).diff
        git(package, "apply", "--check", text=diff)
        git(package, "apply", text=diff)
        monkeypatch.setenv("MMLOAD_CACHE", str(place.parent))

    return patch


def test_a_patched_package_serves_the_answers_of_the_unpatched_one(patched_engine, stock, tmp_path):
    patched_engine("optimized")
    server = SglangServer("stock", tmp_path / "server.log")
    try:
        assert answers_of(server) == stock[0]
    finally:
        server.end()
    assert "Traceback" not in server.said()
