"""`mmload gate` as a user calls it: what may be named, what is refused, and what --run makes. No server is started: runs
are made folders."""

import hashlib
import json
import shutil

import msgspec
import pytest
from factory import make_run
from typer.testing import CliRunner

from mmload.cli import app
from mmload.errors import FolderError, MmloadError, ServerError, UsageError
from mmload.model.manifest import Membership
from mmload.store.campaigns import list_campaigns, making, write_campaign

GATE = """
looks = 2
[[criteria]]
check = "error_rate < 0.5"
[[criteria]]
check = "qps_ratio > 0.5 vs original"
[run]
rate = 100
duration = "5s"
warmup = "2s"
rounds = 2
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where a gate `mine.toml` is at hand, and runs are in profiles/."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    (tmp_path / "mine.toml").write_text(GATE)
    (tmp_path / "profiles").mkdir()
    return tmp_path


def gate(*args):
    return CliRunner().invoke(app, ["gate", *map(str, args)])


def refusal(*args):
    result = gate(*args)
    assert isinstance(result.exception, MmloadError), result.output
    return result.exception


def judged(*args):
    return json.loads(gate("--gate", "mine.toml", "--json", *args).stdout)


def run_of(folder, variant="optimized", **truth):
    return make_run(folder / "profiles", variant, **{"duration_s": 5, **truth})


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["--run"], "--run makes runs of a candidate", "--candidate VARIANT"),
        (["--run", "--candidate", "optimised"], "unknown variant 'optimised'", "optimized"),
        (
            ["--run", "--candidate", "original"],
            "compares with original: it can't be the candidate too",
            "mmload compare",
        ),
        (["--run", "--candidate", "shm", "--baseline", "original=x"], "--run makes its own baselines", ""),
        (["--run", "--candidate", "shm", "a-run"], "--run makes its own runs: a-run would be ignored", "-- is for"),
        (["--run", "--candidate", "shm", "--engine", "standing"], "unknown engine 'standing'", "standin"),
        (["--run", "--candidate", "shm", "--tp", "0"], "--tp 0 is out of range", "1 to 64"),
        (["--url", "http://127.0.0.1:1"], "--url is one server", "mmload run --url"),
        (["--engine", "sglang"], "--engine is for --run", ""),
        (["--tp", "4"], "--tp is for --run", ""),
        (["--baseline", "original"], "--baseline 'original' lacks its run", "original=RUN"),
        (["--gate", "relase"], "unknown gate 'relase'", "release"),
        (["--gate", "none.toml"], "no gate file none.toml", "release"),
    ],
)
def test_a_wrong_command_line_is_refused_with_the_mend_and_nothing_is_made(folder, args, message, hint):
    error = refusal("--gate", "mine.toml", *args)
    assert isinstance(error, UsageError)
    assert message in str(error)
    assert hint in error.hint
    assert list((folder / "profiles").iterdir()) == []


def test_a_gate_that_does_not_say_what_to_run_makes_nothing(folder):
    (folder / "bare.toml").write_text('[[criteria]]\ncheck = "qps > 1"\n')
    error = refusal("--gate", "bare.toml", "--run", "--candidate", "shm")
    assert "the gate bare does not say what to run" in str(error)
    assert "[run]" in error.hint


def emptied(run):
    for path in run.layout.path.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def rewritten(name, change):
    def rewrite(run):
        path = run.layout.path / name
        path.write_text(change(path.read_text()))

    return rewrite


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (emptied, "is not a run folder: it has no manifest.json"),
        (lambda run: run.layout.manifest.write_text(""), "manifest.json is damaged"),
        (lambda run: run.layout.manifest.write_bytes(b"\xff\xfe\x00"), "manifest.json is damaged"),
        (lambda run: run.layout.manifest.write_text('{"name": "npm", "version": 3}'), "manifest.json is damaged"),
        (rewritten("manifest.json", lambda text: text[: len(text) // 2]), "manifest.json is damaged"),
        (
            rewritten("manifest.json", lambda text: text.replace('"schema": 1', '"schema": 9')),
            "by a newer mmload (schema 9",
        ),
        (lambda run: run.layout.plan.unlink(), "cannot read"),
        (rewritten("plan.json", lambda text: text.replace("{", '{"warp": 9,', 1)), "plan.json is damaged"),
        (lambda run: run.layout.requests.unlink(), "requests.jsonl is missing"),
        (rewritten("requests.jsonl", lambda text: "x" + text), "requests.jsonl line 1 is damaged"),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_a_folder_that_is_empty_damaged_foreign_or_newer_is_said_to_be_so(folder, damage, said, named):
    run = run_of(folder)
    damage(run)
    error = refusal("--gate", "mine.toml", *([run.run_id] if named else []))
    assert error.exit_code == FolderError.exit_code == 7
    if named or damage is not emptied:
        assert said in str(error)


@pytest.mark.parametrize("name", ["mine.toml", "nowhere", ".", "profiles", "x" * 300, "a\0b", ""])
def test_what_is_no_run_at_all_is_said_to_be_none(folder, name):
    assert refusal("--gate", "mine.toml", name).exit_code == FolderError.exit_code


def test_a_damaged_folder_that_is_older_is_passed_over_with_a_word(folder):
    older = run_of(folder, number=0)
    older.layout.plan.unlink()
    run_of(folder, number=1)
    assert judged()["warnings"] == [f"damaged, so passed over: {older.run_id}"]


def test_runs_of_different_conditions_are_refused_with_the_list_and_by_force_judged_with_a_word(folder):
    ours, theirs = run_of(folder, number=1), run_of(folder, "original", number=0, tp=4, idle_policy="poll")
    error = refusal("--gate", "mine.toml", ours.run_id, theirs.layout.path)
    assert error.exit_code == 2
    assert "tp: 4, not 2; idle policy: poll, not sleep" in str(error)
    verdict = judged(ours.run_id, theirs.run_id, "--force")
    assert verdict["forced"] == ["original on main: tp: 4, not 2; idle policy: poll, not sleep"]


def test_a_partial_run_is_invalid_and_not_an_error(folder):
    run = run_of(folder, status="partial", ends_after_s=4.0)
    assert gate("--gate", "mine.toml", run.run_id).exit_code == 4


def test_several_runs_of_a_variant_are_its_rounds(folder):
    runs = [
        run_of(folder, variant, number=2 * seed + place, seed=seed)
        for seed in (0, 1)
        for place, variant in enumerate(("original", "optimized"))
    ]
    verdict = judged(*(run.run_id for run in runs))
    assert verdict["scenes"]["main"] == {
        "candidate": [runs[1].run_id, runs[3].run_id],
        "baselines": {"original": [runs[0].run_id, runs[2].run_id]},
        "load": "images-small, 100 req/s, TP 2, standin 1, stand-in",
    }
    assert verdict["gate_sha256"] == hashlib.sha256(GATE.encode()).hexdigest()
    assert (verdict["candidate"], verdict["baselines"]) == (runs[3].run_id, {"original": runs[2].run_id})


def test_a_github_job_gets_the_table_on_its_summary_page(folder, monkeypatch):
    run_of(folder)
    page = folder / "summary.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    gate("--gate", "mine.toml")
    assert page.read_text().startswith("before\n")
    assert "error_rate" in page.read_text()


def test_a_summary_page_that_cannot_be_written_is_a_warning(folder, monkeypatch):
    run = run_of(folder)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "nowhere" / "summary.md"))
    result = gate("--gate", "mine.toml", run.run_id)
    assert (result.exit_code, result.exception.__class__) == (3, SystemExit)
    assert "warning: no table on the summary page" in result.stderr


@pytest.fixture
def maker(monkeypatch):
    """Campaigns are made of factory's folders. Its `limit` is the number of runs after which it is interrupted."""

    class Maker:
        limit = None
        made = 0
        campaigns = ()

        def __call__(self, campaign, out, console, means=None):
            self.campaigns = (*self.campaigns, campaign)
            with making(campaign.campaign_id, out):
                slots = list(campaign.slots)
                for place, slot in enumerate(slots):
                    if slot.run_id is None and (self.limit is None or self.made < self.limit):
                        slots[place] = msgspec.structs.replace(slot, run_id=self.run(campaign, out, place, slot).run_id)
                whole = all(slot.run_id for slot in slots)
                campaign = msgspec.structs.replace(campaign, slots=slots, status="complete" if whole else "partial")
                write_campaign(campaign, out)
            if not whole:
                raise ServerError("planted: the server is gone")
            return campaign

        def run(self, campaign, out, place, slot):
            self.made += 1
            plan = campaign.scenes[slot.scene].plan
            member = Membership(campaign=campaign.campaign_id, scene=slot.scene, round=slot.round, place=place)
            seed = plan.seed + slot.round
            truth = {"duration_s": plan.duration_s, "rate_rps": plan.load.rate_rps, "tp": plan.tp}
            return make_run(out, slot.variant, number=self.made, seed=seed, member=member, **truth)

    maker = Maker()
    monkeypatch.setattr("mmload.commands.make_campaign.make_campaign", maker)
    return maker


MAKE = ("--run", "--candidate", "optimized")


def test_what_the_gate_asks_for_is_made_in_turn_and_judged_together(folder, maker):
    verdict = judged(*MAKE)
    (campaign,) = maker.campaigns
    assert [(slot.round, slot.variant) for slot in campaign.slots] == [
        (0, "original"),
        (0, "optimized"),
        (1, "optimized"),
        (1, "original"),
    ]
    assert (campaign.gate, campaign.gate_name, campaign.candidate, campaign.kind) == (GATE, "mine", "optimized", "gate")
    assert (verdict["verdict"], verdict["campaign"], verdict["look"]) == ("PASS", campaign.campaign_id, 1)
    assert len(verdict["scenes"]["main"]["candidate"]) == 2


def test_the_verdict_is_kept_with_the_campaign_and_with_the_candidates_newest_run(folder, maker):
    verdict = judged(*MAKE)
    (stored,) = list_campaigns(folder / "profiles")
    for path in (stored.layout.verdict, folder / "profiles" / verdict["candidate"] / "verdict.json"):
        assert json.loads(path.read_text()) == verdict


def test_a_scene_runs_the_candidate_and_the_baselines_that_it_is_compared_with(folder, maker):
    more = '[run.scenes.alone]\ntp = 1\nrounds = 1\n[[criteria]]\ncheck = "qps > 1"\non = "alone"\n'
    (folder / "mine.toml").write_text(GATE + more)
    verdict = judged(*MAKE)
    assert [(slot.scene, slot.variant) for slot in maker.campaigns[0].slots][4:] == [("alone", "optimized")]
    assert {criterion["verdict"] for criterion in verdict["criteria"]} == {"PASS"}


def test_an_interrupted_campaign_is_gone_on_with(folder, maker):
    maker.limit = 3
    assert isinstance(gate("--gate", "mine.toml", *MAKE).exception, ServerError)
    maker.limit = None
    result = gate("--gate", "mine.toml", *MAKE)
    first, second = maker.campaigns
    assert (first.campaign_id, maker.made) == (second.campaign_id, 4)
    assert f"going on with {first.campaign_id}: 3 of 4 runs are there" in result.output


@pytest.mark.parametrize("change", ["candidate", "gate", "tp"])
def test_a_campaign_of_another_gate_candidate_or_scene_is_not_gone_on_with(folder, maker, change):
    maker.limit = 3
    gate("--gate", "mine.toml", *MAKE)
    maker.limit = None
    if change == "gate":
        (folder / "mine.toml").write_text(GATE.replace("0.5", "0.4"))
    other = {"candidate": ("--candidate", "shm"), "tp": ("--tp", "4")}
    gate("--gate", "mine.toml", *MAKE, *other.get(change, ()))
    first, second = maker.campaigns
    assert first.campaign_id != second.campaign_id
    assert second.earlier == []


def test_each_time_that_a_candidate_is_judged_anew_is_a_look_and_too_many_are_said(folder, maker):
    verdicts = [judged(*MAKE) for _ in range(3)]
    assert [verdict["look"] for verdict in verdicts] == [1, 2, 3]
    assert [len(verdict["warnings"]) for verdict in verdicts] == [0, 0, 1]
    assert "look 3 of 2 planned" in verdicts[2]["warnings"][0]
    assert [len(campaign.earlier) for campaign in maker.campaigns] == [0, 1, 2]


def test_a_verdict_that_could_not_have_passed_is_no_look(folder, maker):
    first = judged(*MAKE)
    (stored,) = list_campaigns(folder / "profiles")
    stored.layout.verdict.write_text(json.dumps(first | {"verdict": "INVALID"}))
    assert judged(*MAKE)["look"] == 1
    stored.layout.verdict.write_text("{")
    result = gate("--gate", "mine.toml", "--json", *MAKE)
    assert json.loads(result.stdout)["look"] == 3
    assert "warning: it counts as a look" in result.stderr


@pytest.mark.parametrize(("record", "said"), [("{}", "is damaged"), ('{"schema": 9}', "was made by a newer mmload")])
def test_a_campaign_that_cannot_be_read_is_passed_over_with_a_warning_and_can_be_removed(folder, maker, record, said):
    judged(*MAKE)
    (stored,) = list_campaigns(folder / "profiles")
    stored.layout.campaign.write_text(record)
    result = gate("--gate", "mine.toml", "--json", *MAKE)
    assert json.loads(result.stdout)["look"] == 1
    assert result.stderr.count(said) == 1
    runs = len(list((folder / "profiles").iterdir()))
    removed = CliRunner().invoke(app, ["runs", "remove", stored.layout.path.name])
    assert removed.stdout == f"removed {stored.layout.path.name}\n"
    assert "warning: its runs are left" in removed.stderr
    assert (stored.layout.path.exists(), len(list((folder / "profiles").iterdir()))) == (False, runs)


def test_a_campaign_that_is_judged_again_is_no_new_look_and_gives_the_same_bytes(folder, maker):
    judged(*MAKE)
    (stored,) = list_campaigns(folder / "profiles")
    kept = stored.layout.verdict.read_bytes()
    by_id, by_path = (gate(name, "--json").stdout_bytes for name in (stored.campaign.campaign_id, stored.layout.path))
    newest = gate("--gate", "mine.toml", "--json").stdout_bytes
    assert [by_id, by_path, newest] == [kept] * 3
    shutil.move(folder / "profiles", folder / "elsewhere")
    elsewhere = gate(stored.campaign.campaign_id, "--out", "elsewhere", "--json").stdout_bytes
    assert elsewhere == kept


def test_a_campaign_is_judged_by_the_gate_that_it_was_made_for_unless_another_is_asked_for(folder, maker):
    (folder / "own.toml").write_text('about = "mine"\nrate_rps = 100\n[[items]]\nmodality = "text"\n')
    (folder / "mine.toml").write_text(GATE.replace("rate = 100", 'workload = "own.toml"'))
    judged(*MAKE)
    (stored,) = list_campaigns(folder / "profiles")
    (folder / "mine.toml").unlink()
    (folder / "own.toml").unlink()
    assert json.loads(gate(stored.campaign.campaign_id, "--json").stdout)["gate"] == "mine"
    assert json.loads(gate(stored.campaign.campaign_id, "--gate", "smoke", "--json").stdout)["gate"] == "smoke"


def test_the_newest_run_of_a_campaign_is_judged_by_the_gate_that_it_was_made_for(folder, maker):
    judged(*MAKE)
    (stored,) = list_campaigns(folder / "profiles")
    found = json.loads(gate("--json").stdout)
    assert (found["gate"], found["campaign"]) == ("mine", stored.campaign.campaign_id)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("asked", [["--gate", "smoke"], ["--candidate", "original"]])
def test_the_verdict_of_a_campaign_is_that_of_its_own_gate_and_candidate(folder, maker, named, asked):
    judged(*MAKE)
    (stored,) = list_campaigns(folder / "profiles")
    kept = stored.layout.verdict.read_bytes()
    gate(*asked, *([stored.campaign.campaign_id] if named else []))
    assert stored.layout.verdict.read_bytes() == kept


@pytest.mark.parametrize("more", [[], ["--run", "--candidate", "shm"]])
def test_a_gate_without_a_name_is_an_error(folder, more):
    run_of(folder)
    error = refusal("--gate", "", *more)
    assert (error.exit_code, str(error)) == (UsageError.exit_code, "--gate names no gate")
    assert "release" in error.hint


def test_a_campaign_is_not_judged_beside_other_runs(folder, maker):
    verdict = judged(*MAKE)
    error = refusal("--gate", "mine.toml", verdict["campaign"], verdict["candidate"])
    assert "is a campaign: it is judged by itself" in str(error)


def test_a_damaged_campaign_ends_with_the_folders_exit_code(folder, maker):
    judged(*MAKE)
    (stored,) = list_campaigns(folder / "profiles")
    stored.layout.campaign.write_text("{}")
    assert refusal(stored.layout.path).exit_code == FolderError.exit_code


def test_runs_of_a_campaign_whose_record_is_gone_are_judged_as_any_other(folder, maker):
    verdict = judged(*MAKE)
    shutil.rmtree(folder / "profiles" / "campaigns")
    again = judged()
    assert (again["campaign"], again["candidate"]) == (None, verdict["candidate"])
