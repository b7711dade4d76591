"""The main job, end to end: a run of each variant on the stand-in and what its folder holds."""

import hashlib
import json
from collections import Counter

import msgspec
import pytest
from command import Command

from mmload.model.manifest import Manifest
from mmload.model.records import AnswerRecord, GeneratorSample, HostSample, ProcessSample, RequestRecord
from mmload.model.result import Summary
from mmload.store.read import Run

pytestmark = [pytest.mark.live, pytest.mark.alone]

VARIANTS = ("original", "commit", "optimized", "rollback")
LOAD = ("--rate", "40", "--warmup", "500ms", "--duration", "2s", "--seed", "7")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A finished run of each variant, the first with a profile."""
    commands = {}
    for variant in VARIANTS:
        profile = ("--profile-duration", "2s") if variant == "original" else ("--no-profile",)
        words = ["run", "--variant", variant, *LOAD, *profile, "--json"]
        commands[variant] = valid_run(words, lambda name=variant: tmp_path_factory.mktemp(name))
    return commands


def valid_run(words, new_folder):
    """A finished run that is valid: on a host that is busy with something else it says that it is not, with exit code
    4, and then another is made."""
    for _ in range(4):
        run = Command(words, new_folder()).finish()
        if run.code != 4:
            break
    assert run.code == 0, run.stderr
    return run


def lines(run, name, kind):
    return [msgspec.json.decode(line, type=kind) for line in (run.run_folder / name).read_bytes().splitlines()]


def test_every_scheduled_request_has_exactly_one_correct_record(runs):
    for run in runs.values():
        records = lines(run, "requests.jsonl", RequestRecord)
        assert len({record.id for record in records}) == len(records)
        phases = Counter(record.phase for record in records)
        assert (phases["identity"], phases["warmup"], phases["measure"]) == (8, 20, 80)
        assert {record.outcome for record in records} == {"ok"}
        for record in records:
            assert record.due_ns <= record.sent_ns < record.first_byte_ns <= record.first_token_ns
            assert record.first_token_ns == record.token_ns[0] <= record.token_ns[-1] <= record.done_ns
            assert record.completion_tokens == 16 == len(record.token_ns)


def test_identical_items_get_identical_answers_whatever_the_variant_and_different_items_different_ones(runs):
    answers = [
        {
            record.item: record.output_sha256
            for record in lines(run, "requests.jsonl", RequestRecord)
            if record.phase != "profile"
        }
        for run in runs.values()
    ]
    assert all(other == answers[0] for other in answers)
    assert len(answers[0]) == 108
    assert len(set(answers[0].values())) == 108


def test_what_the_identity_items_were_answered_is_kept(runs):
    for run in runs.values():
        sent = [r for r in lines(run, "requests.jsonl", RequestRecord) if r.phase == "identity"]
        kept = {answer.id: answer for answer in lines(run, "answers.jsonl", AnswerRecord)}
        assert len(sent) == len(kept) == 8
        for record in sent:
            answer = kept[record.id]
            assert (answer.item, answer.modality, answer.cut) == (record.item, record.modality, False)
            assert hashlib.sha256(answer.text.encode()).hexdigest() == record.output_sha256


def test_equal_plans_send_equal_bytes_at_equal_times(runs):
    manifests = [run.document("manifest.json") for run in runs.values()]
    assert len({manifest["payloads_sha256"] for manifest in manifests}) == 1
    assert len({manifest["schedule_sha256"] for manifest in manifests}) == 1


def test_the_manifest_says_what_ran(runs):
    for variant, run in runs.items():
        manifest = msgspec.json.decode((run.run_folder / "manifest.json").read_bytes(), type=Manifest)
        assert (manifest.status, manifest.validity, manifest.engine) == ("complete", "valid", "standin")
        assert manifest.run_id == run.run_folder.name
        assert manifest.variant == variant
        assert [(rank.rank, rank.variant in (variant, "original")) for rank in manifest.ranks] == [(0, True), (1, True)]
        names = [phase.name for phase in manifest.phases]
        assert names[:3] == ["identity", "warmup", "measure"]
        assert manifest.idle_policy == "sleep"
        assert manifest.versions["locust"]


def test_every_process_is_sampled_with_its_role(runs):
    for run in runs.values():
        samples = lines(run, "processes.jsonl", ProcessSample)
        assert {sample.role for sample in samples} >= {"tokenizer", "scheduler", "generator"}
        assert {sample.rank for sample in samples if sample.role == "scheduler"} == {0, 1}
        for pid in {sample.pid for sample in samples}:
            cpu = [sample.cpu_s for sample in samples if sample.pid == pid]
            assert cpu == sorted(cpu)
        assert lines(run, "host.jsonl", HostSample)
        assert lines(run, "generator.jsonl", GeneratorSample)[-1].in_flight == 0


def test_the_server_s_metrics_are_known_from_before_the_load_to_behind_it(runs):
    for run in runs.values():
        stored = Run(run.run_folder)
        scrapes = list(stored.server)
        assert all(scrape.error is None and scrape.metrics for scrape in scrapes)
        phases = {phase.name: phase for phase in stored.manifest.phases}
        assert scrapes[0].t_ns < phases["identity"].end_ns
        assert scrapes[-1].t_ns > max(phase.end_ns for phase in stored.manifest.phases)
        e2e = stored.summary.server.latencies["e2e"]
        assert e2e.n == pytest.approx(e2e.client_n, abs=5)
        assert e2e.mean_ms < e2e.client_ms
        assert {"running", "queued"} <= stored.summary.server.gauges.keys()


def test_a_run_lies_on_one_time_axis(runs, mmload):
    run = runs["original"]
    axis = json.loads(mmload("runs", "timeline", run.run_folder, "--json").finish().stdout)
    assert sum(axis["series"]["offered_rps"]) == len(lines(run, "requests.jsonl", RequestRecord))
    assert {"measure", "profile"} <= set(axis["phase"])
    assert {"running", "queued", "cpu_pct.scheduler_TP1", "rss_bytes.tokenizer"} <= axis["series"].keys()
    assert "server: queued" in run.stderr


def test_the_ranks_and_the_tokenizer_are_profiled_with_named_frames(runs):
    run = runs["original"]
    stacks = {path.stem: path.read_text() for path in (run.run_folder / "stacks").glob("*.folded")}
    assert set(stacks) == {"tokenizer", "scheduler_TP0", "scheduler_TP1"}
    for rank in ("scheduler_TP0", "scheduler_TP1"):
        assert "event_loop" in stacks[rank]
        assert ".py:" in stacks[rank]
    assert run.document("manifest.json")["profile"]["mode"] == "active"


def test_json_is_the_summary_and_nothing_else(runs):
    for run in runs.values():
        assert run.stdout == (run.run_folder / "summary.json").read_text()
        summary = msgspec.json.decode(run.stdout, type=Summary)
        assert summary.offered_rate_rps == 40
        assert summary.requests == 80
        assert summary.outcomes == {"ok": 80}
        assert {"tokenizer", "scheduler_TP0", "scheduler_TP1"} <= set(summary.cpu)
        assert "stand-in server: not SGLang" in run.stderr


def test_the_counters_prove_what_each_variant_does(runs):
    handoff = {variant: run.document("summary.json")["handoff"] for variant, run in runs.items()}
    built = {variant: round(counted["objects_built_per_request"]) for variant, counted in handoff.items()}
    assert built == {"original": 2, "commit": 1, "optimized": 1, "rollback": 2}


def test_the_summary_can_be_made_again_from_the_rest(runs, mmload):
    run = runs["commit"]
    before = run.document("summary.json")
    (run.run_folder / "summary.json").rename(run.run_folder / "summary.before")
    again = mmload("runs", "show", run.run_folder, "--json").finish()
    (run.run_folder / "summary.before").rename(run.run_folder / "summary.json")
    assert json.loads(again.stdout) == before


def test_a_plan_repeats_its_run(runs, mmload):
    again = mmload("run", "--plan", runs["rollback"].run_folder / "plan.json").finish()
    assert again.code in (0, 4), again.stderr  # 4: the host was busy
    before, after = runs["rollback"].document("manifest.json"), again.document("manifest.json")
    for key in ("variant", "workload", "seed", "schedule_sha256", "payloads_sha256", "tp", "engine"):
        assert before[key] == after[key]


def test_a_closed_loop_of_counted_requests_ends_with_the_last_one(mmload):
    run = mmload("run", "--concurrency", "4", "--requests", "40", "--warmup", "0s", "--no-profile", "--json").finish()
    assert run.code == 0, run.stderr
    summary = json.loads(run.stdout)
    assert summary["requests"] == 40
    assert summary["offered_rate_rps"] is None
    assert run.document("manifest.json")["schedule_sha256"] is None


def test_the_gate_says_what_is_missing(runs, mmload):
    run = runs["optimized"]
    gate = mmload("gate", run.run_folder, "--json").finish()
    assert gate.code == 3, gate.stderr
    verdict = json.loads(gate.stdout)
    assert verdict == run.document("verdict.json")
    missing = [item for item in verdict["criteria"] if item["baseline"] == "rollback"]
    assert {item["verdict"] for item in missing} == {"INCONCLUSIVE"}
    assert "mmload run --variant rollback" in missing[0]["needed"]


@pytest.mark.parametrize(
    ("check", "code", "word"),
    [
        ("error_rate < 0.9", 0, "PASS"),
        ("response_p99_ms < 1", 1, "FAIL"),
        ("error_rate < 0.0001", 3, "INCONCLUSIVE"),
    ],
)
def test_a_gate_of_ones_own_has_the_exit_code_of_its_verdict(runs, mmload, tmp_path, check, code, word):
    (tmp_path / "mine.toml").write_text(f'about = "mine"\n[[criteria]]\ncheck = "{check}"\n')
    files = ("--junit", "junit.xml", "--markdown", "table.md")
    gate = mmload("gate", runs["optimized"].run_folder, "--gate", "mine.toml", *files).finish()
    assert gate.code == code, gate.stdout
    assert f" {word} " in gate.stdout
    assert "<testsuite" in (tmp_path / "junit.xml").read_text()
    assert word in (tmp_path / "table.md").read_text()


def test_a_gate_finds_its_baselines_among_the_runs_it_is_given(runs, mmload):
    folders = [run.run_folder for run in runs.values()]
    gate = mmload("gate", *folders, "--candidate", "optimized", "--json").finish()
    verdict = json.loads(gate.stdout)
    assert set(verdict["baselines"]) == {"original", "rollback"}
    identical = next(item for item in verdict["criteria"] if item["metric"] == "outputs_identical")
    assert identical["verdict"] == "PASS"
