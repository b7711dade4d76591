"""`mmload runs timeline`: what it prints, and what it refuses."""

import csv
import io
import json

import pytest
from factory import make_run
from typer.testing import CliRunner

from mmload.cli import app
from mmload.errors import FolderError, UsageError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("out"), duration_s=6, build_ms={"scheduler_TP0": 1.0})


def asked(run, *args):
    return CliRunner().invoke(app, ["runs", "timeline", str(run.layout.path), *args])


def test_the_terminal_shows_the_phases_over_the_load(run):
    text = asked(run).stdout
    assert (
        text.index("measure") < text.index("offered, req/s") < text.index("server: running") < text.index("CPU TP1, %")
    )


def test_json_is_the_only_thing_on_standard_output(run):
    document = json.loads(asked(run, "--json", "--bin", "2s").stdout)
    assert (document["run_id"], document["bin_s"]) == (run.run_id, 2.0)
    assert sum(document["series"]["offered_rps"]) * 2 == pytest.approx(len(run.requests))


def test_csv_has_a_row_for_each_bin(run):
    rows = list(csv.DictReader(io.StringIO(asked(run, "--csv").stdout)))
    assert [row["phase"] for row in rows if 0 <= float(row["t_s"]) < 6] == ["measure"] * 6


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--json", "--csv"], "--json and --csv exclude each other"),
        (["--bin", "soon"], "--bin 'soon' is not a duration"),
        (["--bin", "0s"], "--bin 0s is out of range"),
        (["--bin", "10ms"], None),
    ],
)
def test_what_can_t_be_printed_is_refused(run, args, message):
    error = asked(run, *args).exception
    assert error is None if message is None else isinstance(error, UsageError) and message in str(error)


def test_a_run_that_is_not_there_is_said(tmp_path):
    error = CliRunner().invoke(app, ["runs", "timeline", "nothing", "--out", str(tmp_path)]).exception
    assert isinstance(error, FolderError)
