"""Requests saved for a person to look at are those that a run sends."""

import json

import pytest
from PIL import Image

from mmload.errors import FolderError
from mmload.plan.config import names
from mmload.plan.payloads_saved import sample, save
from mmload.plan.workload import load_workload


def test_media_and_one_body_are_written_as_files_of_their_kind(tmp_path):
    samples = sample(*load_workload("mix"), count=8)
    files = save(samples, tmp_path / "mix")
    assert sorted(files) == sorted((tmp_path / "mix").iterdir())
    assert len(files) == 1 + sum(len(one.media) for one in samples)
    assert json.loads(files[0].read_text()) == json.loads(samples[0].body)
    assert {file.suffix for file in files} >= {".json", ".jpeg", ".webp"}
    for file in files:
        if file.suffix in (".jpeg", ".webp", ".png"):
            Image.open(file).verify()


def test_a_sample_depends_on_the_seed_alone():
    workload = load_workload("images-small")
    assert sample(*workload, count=2) == sample(*workload, count=2)
    assert sample(*workload, count=2) != sample(*workload, count=2, seed=1)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="cannot write"):
        save(sample(*load_workload("text"), count=1), tmp_path / "file")


@pytest.mark.parametrize("name", names("workloads"))
def test_every_shipped_workload_can_be_shown(name):
    from typer.testing import CliRunner

    from mmload.cli import app

    result = CliRunner().invoke(app, ["workload", "show", name, "--count", "1"], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    assert name in result.output
