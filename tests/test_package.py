"""The wheel alone gives a working mmload: its configuration travels inside."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
    subprocess.run(command, check=True)
    (file,) = folder.glob("*.whl")
    return file


def test_every_configuration_file_is_in_the_wheel(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for file in (ROOT / "configs").rglob("*.toml"):
        assert f"mmload/configs/{file.relative_to(ROOT / 'configs')}" in names


def test_everything_that_pages_are_made_of_is_in_the_wheel(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    files = list((ROOT / "mmload" / "show" / "page").iterdir())
    assert files
    for file in files:
        assert f"mmload/show/page/{file.name}" in names


def test_an_unpacked_wheel_finds_its_configuration(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv[0] = 'mmload'; from mmload.cli import main; main()",
            "variants",
            "list",
        ],
        env={"PYTHONPATH": str(tmp_path / "site"), "PATH": "", "COLUMNS": "120"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "optimized" in done.stdout
