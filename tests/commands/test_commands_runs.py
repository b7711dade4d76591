"""`mmload runs`: which runs are listed, in which order, and what is shown of a campaign."""

import json
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from factory import make_run
from hypothesis import given
from hypothesis import strategies as st
from report_made import verdict
from typer.testing import CliRunner

from mmload.analyse.summary import summarise
from mmload.cli import app
from mmload.commands.runs_list import SORTS, STATUSES, Wanted, since_of
from mmload.errors import UsageError
from mmload.model.campaign import Campaign, Scene, Slot
from mmload.model.plan import OpenLoop, Plan
from mmload.show.tables_runs import RunRow
from mmload.store.append import write_document
from mmload.store.campaigns import campaign_layout, write_campaign
from mmload.store.read import Run

DAMAGED = "20261119T000000Z-commit-dead"
CAMPAIGN = "20261120T000000Z-compare-9f3c"


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Four runs of three seconds, the last of them without a summary, and a folder without a manifest."""
    folder = tmp_path_factory.mktemp("out")
    short = {"duration_s": 3.0, "rate_rps": 20.0}
    for run in (
        make_run(folder, "original", number=0, response_ms=[90.0] * 60, cpu_pct={"scheduler_TP0": 40.0}, **short),
        make_run(folder, "optimized", number=1, response_ms=[50.0] * 60, cpu_pct={"scheduler_TP0": 70.0}, **short),
        make_run(folder, "shm", number=2, tp=4, validity=["it lagged"], **short),
    ):
        write_document(run.layout.summary, summarise(run))
    make_run(folder, "original", number=3, workload="text", status="failed", error="it died", **short)
    (folder / DAMAGED).mkdir()
    return folder


def listed(out, *args):
    """The variants, in the order of the table; 'damaged' for the folder that is."""
    result = CliRunner().invoke(app, ["runs", "list", "--out", str(out), "--json", *args])
    assert result.exit_code == 0, result.exception
    return [row["variant"] or row["status"] for row in json.loads(result.stdout)]


def shown(*args):
    return CliRunner().invoke(app, ["runs", *map(str, args)])


def test_list_need_not_be_said(out):
    said = shown("--out", out, "--sort", "p99", "--variant", "original", "--json")
    assert [row["variant"] for row in json.loads(said.stdout)] == ["original", "original"]
    assert "timeline" in shown("--help").stdout
    assert "--sort" in shown("--variant", "shm", "--help").stdout


@pytest.mark.parametrize(
    ("args", "variants"),
    [
        ([], ["original", "shm", "optimized", "original", "damaged"]),
        (["-r"], ["damaged", "original", "optimized", "shm", "original"]),
        (["--sort", "variant"], ["optimized", "original", "original", "shm", "damaged"]),
        (["--sort", "p99"], ["original", "shm", "optimized", "original", "damaged"]),
        (["--sort", "p99", "-r"], ["optimized", "shm", "original", "original", "damaged"]),
        (["--sort", "work", "-n", "1"], ["optimized"]),
        (["--sort", "status"], ["damaged", "original", "shm", "optimized", "original"]),
        (["--variant", "shm", "--variant", "optimized"], ["shm", "optimized"]),
        (["--workload", "text"], ["original"]),
        (["--engine", "sglang"], []),
        (["--tp", "4"], ["shm"]),
        (["--status", "invalid"], ["shm"]),
        (["--status", "failed", "--status", "damaged"], ["original", "damaged"]),
        (["--since", "2026-11-20T00:02"], ["original", "shm"]),
        (["--since", "2026-11-20", "--variant", "original", "-n", "1"], ["original"]),
    ],
)
def test_runs_are_sorted_and_filtered(out, args, variants):
    assert listed(out, *args) == variants


def test_what_a_limit_leaves_out_is_counted_and_what_is_damaged_is_named(out):
    text = shown("list", "--out", out, "-n", "2").stdout
    assert "3 more of 5: -n 0 shows all" in text
    assert DAMAGED not in text
    everything = shown("list", "--out", out, "-n", "0").stdout
    assert DAMAGED in everything
    assert "mmload runs remove RUN" in everything
    assert "no such run among 5" in shown("list", "--out", out, "--variant", "nobody").stdout


def test_without_a_word_all_runs_are_listed(out, monkeypatch):
    monkeypatch.chdir(out.parent)
    out.parent.joinpath("profiles").symlink_to(out)
    assert shown().stdout == shown("list").stdout


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["--sort", "speed"], "--sort 'speed' is not known", "it takes started, variant, p99, qps, work, status"),
        (["--status", "bad"], "--status 'bad' is not known", "damaged, failed"),
        (["--since", "yesterday"], "--since 'yesterday' is not a duration", "24h"),
        (["--since", "2026-13-40"], "--since '2026-13-40' is no date", "2026-11-20T03:15"),
        (["-n", "-1"], "-n -1 is out of range", "0 to 1000000"),
    ],
)
def test_a_wrong_word_is_named_with_what_is_taken(out, args, message, hint):
    error = shown("list", "--out", out, *args).exception
    assert isinstance(error, UsageError)
    assert message in str(error)
    assert hint in error.hint


def test_no_summary_is_read_of_a_run_that_is_not_shown(out, monkeypatch):
    read = []
    summary = Run.summary.func
    monkeypatch.setattr(Run, "summary", property(lambda run: read.append(run.run_id) or summary(run)))
    assert listed(out, "-n", "2", "--sort", "variant") == ["optimized", "original"]
    assert len(read) == 1  # one of the two has none


@pytest.mark.parametrize(
    ("text", "begin"),
    [
        ("2h", "20261120T010000Z"),
        ("60d", "20260921T030000Z"),
        ("2026-11-20", "20261120T000000Z"),
        ("2026-11-20T03:15", "20261120T031500Z"),
        ("2026-11-20T03:15+02:00", "20261120T011500Z"),
    ],
)
def test_since_is_a_length_of_time_or_a_date_in_utc(text, begin):
    now = datetime(2026, 11, 20, 3, tzinfo=UTC)
    assert since_of(text, now) == begin
    assert since_of(text, now.astimezone(timezone(timedelta(hours=5)))) == begin


rows = st.builds(
    RunRow,
    run_id=st.just("20261120T000000Z-a-0000"),
    variant=st.sampled_from([None, "a", "b"]),
    tp=st.sampled_from([None, 1, 4]),
    status=st.sampled_from(STATUSES),
    valid=st.booleans(),
)
some = st.builds(
    Wanted,
    variants=st.sets(st.sampled_from("ab")).map(tuple),
    tps=st.sets(st.sampled_from([1, 4])).map(tuple),
    statuses=st.sets(st.sampled_from([*STATUSES, "invalid"])).map(tuple),
)


@given(rows, some)
def test_each_filter_only_ever_takes_away(row, wanted):
    alone = [Wanted(**{field: getattr(wanted, field)}) for field in Wanted._fields]
    assert wanted.takes(row) == all(one.takes(row) for one in alone)
    assert Wanted().takes(row)


@given(rows)
def test_every_row_has_its_place_in_every_order(row):
    for sort in SORTS.values():
        assert sort.key(row) is None or isinstance(sort.key(row), str | float | int)


def campaign(out, kind="compare"):
    runs = [run for run in sorted(path.name for path in out.iterdir()) if "-original-" in run]
    plan = Plan(variant=None, workload_name="images-small", workload={}, load=OpenLoop(rate_rps=20))
    made = Campaign(
        campaign_id=CAMPAIGN,
        kind=kind,
        status="complete",
        variants=["original", "shm"],
        scenes={"main": Scene(plan=plan, rounds=2)},
        slots=[Slot(scene="main", round=number, variant="original", run_id=run) for number, run in enumerate(runs)],
    )
    campaign_layout(CAMPAIGN, out).path.mkdir(parents=True, exist_ok=True)
    write_campaign(made, out)
    return runs


@pytest.mark.parametrize(("kind", "command"), [("compare", "compare"), ("gate", "gate"), ("selftest", "runs show RUN")])
def test_a_campaign_is_shown_with_its_runs_and_the_command_that_shows_what_came_of_it(out, kind, command):
    runs = campaign(out, kind)
    text = shown("show", CAMPAIGN, "--out", out).stdout
    assert f"made by mmload {kind}" in text
    assert all(run in text for run in runs)
    assert f"next        mmload {command}" in text
    assert kind == "selftest" or f"mmloadreport{campaign_layout(CAMPAIGN, out).path}" in "".join(text.split())
    document = json.loads(shown("show", CAMPAIGN, "--out", out, "--json").stdout)
    assert document["campaign_id"] == CAMPAIGN


def test_a_summary_that_is_damaged_is_made_again_and_a_verdict_that_is_says_so(tmp_path):
    run = make_run(tmp_path, duration_s=3.0, rate_rps=20.0)
    run.layout.summary.write_text("{")
    run.layout.verdict.write_text("{")
    (row,) = json.loads(shown("list", "--out", str(tmp_path), "--json").stdout)
    assert (row["status"], row["verdict"]) == ("complete", "unreadable")
    assert row["response_p99_ms"] > 0
    assert "unreadable" in shown("list", "--out", str(tmp_path)).stdout
    assert "P99" in shown("show", run.run_id, "--out", str(tmp_path)).stdout


@pytest.mark.parametrize("brief", [[], ["--brief"]])
def test_a_run_whose_records_were_lost_since_is_invalid_and_its_verdict_stale(tmp_path, brief):
    run = make_run(tmp_path, duration_s=3.0, rate_rps=20.0)
    write_document(run.layout.verdict, msgspec.structs.replace(verdict(run.run_id), verdict="PASS"))
    lines = run.layout.requests.read_bytes().splitlines(keepends=True)
    run.layout.requests.write_bytes(b"".join(lines[:60]))
    said = shown("show", run.run_id, "--out", str(tmp_path), *brief).stdout
    assert "INVALID" in said
    assert "STALE  it said PASS" in said
    assert json.loads(shown("show", run.run_id, "--out", str(tmp_path), "--json").stdout)["validity"] != "valid"


def test_a_campaign_has_no_timeline_of_its_own(out):
    campaign(out)
    error = shown("timeline", CAMPAIGN, "--out", out).exception
    assert isinstance(error, UsageError)
    assert f"mmload runs show {CAMPAIGN}" in error.hint


def test_a_run_is_shown_in_full_or_in_brief(out):
    run = next(path.name for path in out.iterdir() if "-optimized-" in path.name)
    full, brief = (shown("show", run, "--out", out, *words).stdout for words in ([], ["--brief"]))
    assert "latency, ms" in full
    assert "latency, ms" not in brief
    assert "mmload runs show" in brief
    assert brief.splitlines()[0] in full.splitlines()
