"""`mmload compare` on the command line: what it refuses, what it says of stored runs, and what the folder keeps."""

import json

import pytest
from campaign_made import ID, campaign_of
from factory import make_run
from typer.testing import CliRunner

from mmload.cli import app
from mmload.errors import MmloadError
from mmload.model.manifest import Membership
from mmload.store.campaigns import find_campaign, making


def invoke(*args):
    return CliRunner().invoke(app, list(map(str, args)))


def refusal(*args):
    result = invoke("compare", *args)
    assert isinstance(result.exception, MmloadError), result.output
    return result.exception


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "profiles"


def rounds_of(out, variant, first, **truth):
    short = {"rate_rps": 50.0, "duration_s": 8.0, "warmup_s": 0.5}
    return [make_run(out, variant, number=first + seed, seed=seed, **(short | truth)) for seed in (0, 1)]


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        ([], "nothing to compare", "--variants A,B"),
        (["--variants", "original"], "is one variant", "baseline first"),
        (["--variants", "original,optimised"], "unknown variant 'optimised'", "optimized"),
        (["--variants", "original,shm", "--rounds", "0"], "--rounds 0 is out of range", "1 to 1000"),
        (["--variants", "original,shm", "--rate", "0"], "--rate 0 req/s is out of range", "0.01"),
        (["--variants", "original,shm", "--baseline", "commit"], "--baseline commit is none of", "original, shm"),
        (["--variants", "original,shm", "some-run"], "RUN and --variants exclude each other", "--"),
        (["--variants", "original,shm", "--continue", ID], "--variants and --continue exclude each other", ""),
        (["--continue", ID, "--rate", "5"], "--continue decides everything: --rate", ""),
        (["some-run", "--rate", "5"], "RUN decides everything: --rate", ""),
        (["--variants", "original,shm", "--concurrency", "5", "--arrival", "constant"], "exclude each other", ""),
    ],
)
def test_a_wrong_command_line_is_refused_before_anything_is_made(args, message, hint, out):
    error = refusal(*args)
    assert error.exit_code == 2
    assert message in str(error)
    assert hint in error.hint
    assert not out.exists()


def test_what_is_not_there_is_a_missing_folder(out):
    assert refusal("some-run").exit_code == 7
    assert refusal("--continue", ID).exit_code == 7


def test_stored_runs_are_compared_by_variant_with_the_first(out):
    runs = [*rounds_of(out, "original", 0), *rounds_of(out, "shm", 10, cpu_pct={"scheduler_TP0": 90.0})]
    result = invoke("compare", *(run.run_id for run in runs), "--json", "--markdown", "table.md")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["baseline"], [side["name"] for side in said["sides"]]) == ("original", ["original", "shm"])
    assert "shm against original" in result.stderr
    assert "### shm:" in (out.parent / "table.md").read_text()


def test_another_variant_or_runs_may_be_the_baseline(out):
    first, second = rounds_of(out, "original", 0)
    again = make_run(out, "original", number=5, rate_rps=50.0, duration_s=8.0, warmup_s=0.5)
    shm = rounds_of(out, "shm", 10)
    chosen = invoke("compare", *(run.run_id for run in (first, second, *shm)), "--baseline", "shm", "--json")
    assert json.loads(chosen.stdout)["baseline"] == "shm"
    itself = invoke("compare", first.run_id, "--baseline", again.run_id, "--json")
    assert [side["name"] for side in json.loads(itself.stdout)["sides"]] == ["original", "original#2"]


def test_runs_of_one_variant_need_a_baseline(out):
    error = refusal(*(run.run_id for run in rounds_of(out, "original", 0)))
    assert "these are all runs of original" in str(error)
    assert "--baseline" in error.hint


def test_runs_that_cannot_be_compared_are_refused_unless_forced(out):
    names = [run.run_id for run in (*rounds_of(out, "original", 0), *rounds_of(out, "shm", 10, tp=4))]
    error = refusal(*names)
    assert error.exit_code == 2
    assert "tp: 4, not 2" in str(error)
    forced = invoke("compare", *names, "--force")
    assert forced.exit_code == 0
    assert "FORCED" in forced.output


def test_a_campaign_is_compared_by_its_id_and_keeps_what_was_said(out):
    campaign_of(out, {"original": rounds_of(out, "original", 0), "shm": rounds_of(out, "shm", 10)})
    result = invoke("compare", ID, "--json")
    assert result.exit_code == 0, result.output
    kept = find_campaign(ID, out).layout.comparison
    assert kept.read_text() == result.stdout
    invoke("compare", ID)
    assert kept.read_text() == result.stdout
    assert [side["runs"] for side in json.loads(result.stdout)["sides"]] == [
        [slot.run_id for slot in find_campaign(ID, out).campaign.slots if slot.variant == name]
        for name in ("original", "shm")
    ]


def test_one_that_lacks_runs_says_how_many(out):
    sides = {"original": [*rounds_of(out, "original", 0)], "shm": [rounds_of(out, "shm", 10)[0], None]}
    campaign_of(out, sides, status="partial")
    result = invoke("compare", ID)
    assert result.exit_code == 0, result.output
    assert "the campaign is partial: 1 of its 4 runs are missing" in result.output


@pytest.mark.parametrize(
    ("truth", "code"),
    [
        ({"validity": ["the generator lagged"]}, 4),
        ({"status": "failed", "error": "rank 1 died", "ends_after_s": 4.0}, 5),
    ],
)
def test_a_side_without_a_run_to_compare_is_no_success(truth, code, out):
    campaign_of(out, {"original": rounds_of(out, "original", 0), "shm": rounds_of(out, "shm", 10, **truth)})
    result = invoke("compare", ID)
    assert result.exit_code == code, result.output
    assert "no valid run" in result.output


def test_a_campaign_of_another_command_is_not_continued_here(out):
    campaign_of(out, {"original": rounds_of(out, "original", 0)}, kind="gate")
    error = refusal("--continue", ID)
    assert error.exit_code == 2
    assert "mmload gate" in error.hint


def test_a_campaign_is_removed_with_all_its_runs_and_no_others(out):
    runs, other = rounds_of(out, "original", 0), make_run(out, "shm", number=50, duration_s=2.0)
    campaign_of(out, {"original": runs})
    with making(ID, out):
        result = invoke("runs", "remove", ID)
        assert "being made" in str(result.exception)
    result = invoke("runs", "remove", ID)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [f"removed {name}" for name in (*(run.run_id for run in runs), ID)]
    assert [path.name for path in out.iterdir() if path.name != "campaigns"] == [other.run_id]
    assert list((out / "campaigns").iterdir()) == []


def test_a_run_that_was_killed_before_the_record_named_it_is_removed_with_its_campaign(out):
    member = Membership(campaign=ID, scene="main", round=0, place=0)
    killed = make_run(out, "original", number=9, duration_s=2.0, member=member, status="running")
    campaign_of(out, {"original": [None, None]}, status="running")
    assert invoke("runs", "remove", ID).output.splitlines() == [f"removed {killed.run_id}", f"removed {ID}"]


def test_a_removed_run_is_said_to_leave_its_campaign_incomplete_unless_that_is_removed_too(out):
    members = [Membership(campaign=ID, scene="main", round=number, place=number) for number in (0, 1)]
    runs = [make_run(out, "shm", number=n, seed=n, duration_s=2.0, member=member) for n, member in enumerate(members)]
    campaign_of(out, {"shm": runs})
    first, second = (run.run_id for run in runs)
    result = invoke("runs", "remove", first)
    assert result.output == f"removed {first}, which leaves {ID} incomplete\n"
    assert invoke("runs", "remove", f"profiles/{second}", ID).output.splitlines() == [
        f"removed {second}",
        f"removed {ID}",
    ]


def test_runs_list_names_the_campaign_of_a_run(out):
    member = Membership(campaign=ID, scene="main", round=1, place=2)
    run = make_run(out, "shm", duration_s=2.0, member=member)
    campaign_of(out, {"shm": [run]})
    (row,) = json.loads(invoke("runs", "list", "--json").stdout)
    assert row["campaign"] == ID
    shown = invoke("runs", "show", run.run_id).output
    assert ID in shown
    assert "round 2" in shown
