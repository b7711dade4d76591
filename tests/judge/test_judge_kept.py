"""A verdict that was kept, held against the records that lie there now."""

import hashlib

import msgspec
import pytest
from campaign_made import ID, campaign_of
from factory import make_run
from report_made import verdict

from mmload.judge.kept import kept_verdict
from mmload.judge.validity import standing
from mmload.model.result import JudgedRuns
from mmload.store.append import write_document
from mmload.store.campaigns import campaign_layout
from mmload.store.read import Run


def judged(out, *, baseline=None, **said):
    """A candidate of 2,000 measured requests with its verdict; baseline: one to compare with, by variant."""
    run = make_run(out, duration_s=20)
    scene = JudgedRuns(candidate=[run.run_id], baselines={name: [one.run_id] for name, one in (baseline or {}).items()})
    kept = msgspec.structs.replace(verdict(run.run_id), **{"scenes": {"main": scene}, **said})
    write_document(run.layout.verdict, kept)
    return run


def found(run):
    return kept_verdict(run.layout.verdict, run.layout.path.parent)


def without_the_end(run, share=0.6):
    lines = run.layout.requests.read_bytes().splitlines(keepends=True)
    run.layout.requests.write_bytes(b"".join(lines[: int(share * len(lines))]))


def test_a_verdict_of_the_records_that_are_there_stands(tmp_path):
    kept = found(judged(tmp_path))
    assert kept.verdict.verdict == "FAIL"
    assert (kept.stale, kept.cautions) == ([], [])


def test_without_a_file_there_is_none(tmp_path):
    assert found(make_run(tmp_path, duration_s=5)) is None


def test_a_verdict_whose_records_were_lost_since_is_stale(tmp_path):
    run = judged(tmp_path)
    without_the_end(run)
    assert any("have no record" in reason for reason in found(run).stale)


def test_a_verdict_on_a_run_that_can_t_be_read_any_more_is_stale(tmp_path):
    run = judged(tmp_path)
    run.layout.requests.unlink()
    assert any("requests.jsonl is missing" in reason for reason in found(run).stale)


def test_a_verdict_on_work_is_stale_without_the_stacks(tmp_path):
    work = msgspec.structs.replace(
        verdict("x").criteria[0], metric="cpu_work_pct", n=40, evidence="processes.jsonl and stacks/"
    )
    run = judged(tmp_path, criteria=[work])
    assert found(run).stale == []
    for file in run.layout.stacks.iterdir():
        file.unlink()
    assert found(run).stale == [f"{run.run_id}: its stacks, on which it rests, are gone"]


def test_a_verdict_on_stacks_that_can_t_be_read_is_stale_and_one_that_needs_none_has_a_caution(tmp_path):
    work = msgspec.structs.replace(verdict("x").criteria[0], metric="cpu_work_pct", n=40, evidence="stacks/")
    run = judged(tmp_path, criteria=[work])
    next(run.layout.stacks.glob("*.folded")).write_text("main (a.py:1) many\n")
    assert len(found(Run(run.layout.path)).stale) == 1
    run = judged(tmp_path / "other")
    kept = kept_verdict(
        run.layout.verdict, tmp_path / "other", [run], {run.run_id: "host.jsonl is torn", "another": "so"}
    )
    assert kept.stale == []
    assert kept.cautions == [f"{run.run_id}: host.jsonl is torn"]


def test_a_verdict_of_another_number_of_requests_is_stale(tmp_path):
    p99 = msgspec.structs.replace(verdict("x").criteria[0], n=3200)
    assert found(judged(tmp_path, criteria=[p99])).stale == [
        "it was of 3,200 measured requests; the records hold 2,000"
    ]


def test_a_verdict_that_said_invalid_is_not_questioned(tmp_path):
    criteria = [msgspec.structs.replace(one, verdict="INVALID", n=0) for one in verdict("x").criteria]
    run = judged(tmp_path, verdict="INVALID", criteria=criteria)
    without_the_end(run)
    assert found(run).stale == []


@pytest.mark.parametrize(("word", "is_stale"), [("PASS", True), ("INCONCLUSIVE", False)])
def test_a_baseline_that_was_lost_counts_where_something_was_decided_by_it(tmp_path, word, is_stale):
    baseline = make_run(tmp_path, "rollback", number=1, duration_s=5)
    ratio = msgspec.structs.replace(verdict("x").criteria[2], verdict=word)
    run = judged(tmp_path, baseline={"rollback": baseline}, criteria=[ratio])
    without_the_end(baseline)
    assert bool(found(run).stale) == is_stale


def test_a_judged_run_that_is_gone_is_named(tmp_path):
    scene = {"main": JudgedRuns(candidate=["20261120T000000Z-optimized-0000", "20261120T000500Z-optimized-0005"])}
    assert found(judged(tmp_path, scenes=scene)).cautions == [
        "20261120T000500Z-optimized-0005, which it rests on, is not here: nobody can check it"
    ]


def test_another_gate_or_another_word_than_the_campaigns_own_is_said(tmp_path):
    run = judged(tmp_path, campaign=ID, gate_sha256="f" * 64)
    campaign_of(tmp_path, {"optimized": [run]}, kind="gate", gate="looks = 1\n", gate_name="release")
    own = msgspec.structs.replace(verdict(run.run_id), verdict="INCONCLUSIVE", gate_sha256="a" * 64)
    write_document(campaign_layout(ID, tmp_path).verdict, own)
    sha256 = hashlib.sha256(b"looks = 1\n").hexdigest()[:12]
    assert found(run).cautions == [
        f"judged by another gate than the campaign was made for (sha256 {sha256})",
        "the campaign's own verdict is INCONCLUSIVE (gate release, sha256 aaaaaaaaaaaa)",
    ]


def test_a_run_that_is_not_judged_has_the_validity_of_its_manifest(tmp_path):
    profile = make_run(tmp_path, duration_s=5)
    write_document(profile.layout.manifest, msgspec.structs.replace(profile.manifest, kind="profile"))
    running = make_run(tmp_path, number=1, duration_s=5, status="running", ends_after_s=3)
    assert standing(type(profile)(profile.layout.path)) == []
    running.manifest = msgspec.structs.replace(running.manifest, status="running")
    assert standing(running) == []
