"""`mmload report`: which runs it is about, where the page goes, what it prints, and what it refuses."""

import json

import msgspec
import pytest
from factory import make_run
from typer.testing import CliRunner

from mmload.cli import app
from mmload.errors import FolderError, UsageError
from mmload.model.campaign import Campaign, Scene, Slot
from mmload.model.manifest import Membership
from mmload.store.append import write_document
from mmload.store.campaigns import write_campaign


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    for number, variant in enumerate(("original", "optimized")):
        make_run(folder, variant, number=number, duration_s=6)
    return folder


def asked(out, *args):
    return CliRunner().invoke(app, ["report", "--out", str(out), *args])


def runs_of(out):
    return sorted(path.name for path in out.iterdir() if (path / "manifest.json").is_file())


def test_without_a_run_it_is_about_the_newest_and_lies_in_its_folder(out):
    written = json.loads(asked(out, "--json").stdout)
    newest = runs_of(out)[-1]
    assert written["runs"] == [newest]
    assert written["path"] == str(out / newest / "report.html")
    assert written["bytes"] == (out / newest / "report.html").stat().st_size


def test_several_runs_have_a_page_of_their_own(out):
    original, optimized = runs_of(out)
    written = json.loads(asked(out, original, optimized, "--json").stdout)
    assert written["path"] == str(out / "reports" / f"{optimized}-and-1-more.html")
    assert written["runs"] == [original, optimized]


def test_a_file_can_be_named_and_its_folder_is_made(out, tmp_path):
    file = tmp_path / "new" / "page.html"
    result = asked(out, "--output", str(file))
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert result.stdout.startswith(str(file))


def test_standard_output_gets_the_page_alone(out):
    assert asked(out, "--output", "-").stdout.startswith("<!doctype html>")


def test_a_campaign_has_its_page_in_its_folder(tmp_path):
    name = "20261120T000000Z-compare-0001"
    slots = []
    for number, variant in enumerate(("original", "optimized")):
        member = Membership(campaign=name, scene="main", round=0, place=number)
        run = make_run(tmp_path, variant, number=number, duration_s=5, member=member)
        slots.append(Slot(scene="main", round=0, variant=variant, run_id=run.run_id))
    campaign = Campaign(
        campaign_id=name,
        kind="compare",
        status="complete",
        variants=["original", "optimized"],
        scenes={"main": Scene(plan=run.plan, rounds=1)},
        slots=slots,
    )
    (tmp_path / "campaigns" / name).mkdir(parents=True)
    write_campaign(campaign, tmp_path)
    written = json.loads(asked(tmp_path, name, "--json").stdout)
    assert written["path"] == str(tmp_path / "campaigns" / name / "report.html")
    page = (tmp_path / "campaigns" / name / "report.html").read_text(encoding="utf-8")
    assert "optimized against original" in page
    assert "optimized, round 1" in page


def test_a_damaged_file_is_a_warning_and_the_page_is_made(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    with run.layout.requests.open("ab") as file:
        file.write(b"torn\n")
    result = asked(tmp_path)
    assert result.exit_code == 0
    assert "requests.jsonl line" in result.stderr
    assert "DAMAGED" in run.layout.report.read_text(encoding="utf-8")


def test_a_summary_that_was_written_stands_in_where_records_are_damaged(tmp_path):
    from mmload.analyse.summary import summarise

    run = make_run(tmp_path, duration_s=5)
    write_document(run.layout.summary, summarise(run))
    run.layout.processes.write_bytes(b"torn\n")
    asked(tmp_path)
    assert "the figures are those that its end wrote" in run.layout.report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("args", "kind", "message"),
    [
        (["nothing"], FolderError, "no run 'nothing'"),
        (["{first}", "{first}"], UsageError, "is given twice"),
        (["{first}", "--output", "/proc/none/page.html"], FolderError, "cannot create /proc/none"),
    ],
)
def test_what_can_t_be_reported_is_refused(out, args, kind, message):
    error = asked(out, *(arg.replace("{first}", runs_of(out)[0]) for arg in args)).exception
    assert isinstance(error, kind)
    assert message in str(error)


def test_an_empty_folder_has_nothing_to_report(tmp_path):
    assert isinstance(asked(tmp_path).exception, FolderError)


def test_a_run_without_a_manifest_that_can_be_read_is_refused(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    run.layout.manifest.write_text("{", encoding="utf-8")
    assert isinstance(asked(tmp_path).exception, FolderError)


def test_a_profile_without_load_has_a_page(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    phases = [msgspec.structs.replace(run.manifest.phases[1], name="profile")]
    write_document(run.layout.manifest, msgspec.structs.replace(run.manifest, kind="profile", phases=phases))
    run.layout.requests.unlink()
    asked(tmp_path)
    page = run.layout.report.read_text(encoding="utf-8")
    assert "profiled, without load" in page
    assert "Load and response" not in page
