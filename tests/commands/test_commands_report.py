"""`mmload report`: which runs it is about, where the page goes, what it prints, and what it refuses."""

import html
import json
import re
import shlex
import shutil
from pathlib import Path

import msgspec
import pytest
from factory import make_run
from typer.testing import CliRunner

from mmload.cli import app
from mmload.commands.report_choice import asked_of
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
    page = Path(written["path"])
    assert (page.parent, page.name[:-12]) == (out / "reports", f"{optimized}-and-1-more")
    assert written["runs"] == [original, optimized]
    assert json.loads(asked(out, original, optimized, "--json").stdout)["path"] == written["path"]


def test_pages_about_other_runs_have_other_names_and_lie_beside_the_runs(tmp_path, monkeypatch):
    first, second, third = (make_run(tmp_path, number=number, duration_s=5) for number in range(3))
    monkeypatch.chdir(first.layout.path)
    pairs = ([first, third], [second, third], [third, first])
    files = {asked_of([str(run.layout.path) for run in runs], [], Path("profiles"), force=False)[1] for runs in pairs}
    assert len(files) == 3
    assert {file.parent for file in files} == {tmp_path / "reports"}


def test_what_can_t_be_read_of_several_runs_is_named_and_the_rest_compared(out, tmp_path):
    shutil.copytree(out, tmp_path, dirs_exist_ok=True)
    damaged, torn = (make_run(tmp_path, number=number, duration_s=6) for number in (2, 3))
    damaged.layout.manifest.write_text("")
    torn.layout.requests.unlink()
    result = asked(tmp_path, *runs_of(tmp_path), "--force", "--output", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert result.exit_code == 0
    assert f"{damaged.run_id}: " in result.stderr
    assert "NOT COMPARED" not in page
    assert "optimized against original" in page
    assert page.count(f"{torn.run_id} is left out") == page.count(f"{damaged.run_id} is left out") == 1


@pytest.mark.parametrize(
    "names",
    [["{0}"], ["{1}"], ["{0}", "{1}"], ["{1}", "--baseline", "{0}"], ["{0}", "{1}", "--baseline", "optimized"]],
)
def test_the_command_that_judges_is_one_that_the_gate_takes(tmp_path, names):
    for number, variant in enumerate(("original", "optimized")):
        make_run(tmp_path, variant, number=number, duration_s=5)
    page = asked(tmp_path, *(name.format(*runs_of(tmp_path)) for name in names), "--output", "-").stdout
    found = re.search(r"mmload (gate [^<]*)<", page)
    judged = CliRunner().invoke(app, shlex.split(html.unescape(found[1])))
    assert judged.exit_code in {0, 1, 3}, judged.output


def test_where_no_gate_takes_the_runs_no_command_is_named(tmp_path):
    for number in range(2):
        make_run(tmp_path, "original", number=number, duration_s=5)
    page = asked(tmp_path, *runs_of(tmp_path), "--output", "-").stdout
    assert "NOT JUDGED" in page
    assert "mmload gate" not in page


def test_a_verdict_that_can_t_be_read_is_said_where_it_would_stand(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    run.layout.verdict.write_text("{")
    result = asked(tmp_path, "--output", "-")
    assert "verdict.json is damaged" in result.stderr
    assert re.search("NOT JUDGED</strong> <span>[^<]*verdict.json is damaged", result.stdout)


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
