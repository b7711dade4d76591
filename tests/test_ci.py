"""The workflows of docs/ci.md: valid, and with commands that mmload understands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from mmload.cli import app

PAGE = (Path(__file__).parents[1] / "docs" / "ci.md").read_text(encoding="utf-8")
GITHUB, GITLAB = re.findall("```yaml\n(.*?)```", PAGE, re.DOTALL)


def steps():
    """Every script line of both workflows."""
    for job in yaml.safe_load(GITHUB)["jobs"].values():
        yield from (step["run"] for step in job["steps"] if "run" in step)
    for job in yaml.safe_load(GITLAB).values():
        yield from job["script"]


@pytest.mark.parametrize(("schema", "workflow"), [("github-workflows", GITHUB), ("gitlab-ci", GITLAB)])
def test_a_workflow_is_what_its_system_takes(schema, workflow, tmp_path):
    file = tmp_path / "workflow.yml"
    file.write_text(workflow, encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_command_of_a_workflow_has_the_options_that_it_is_given():
    commands = [shlex.split(step) for step in steps() if step.startswith("mmload ")]
    assert len(commands) == 3
    known = typer.main.get_command(app).commands
    for _, name, *words in commands:
        options = {option for parameter in known[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options
