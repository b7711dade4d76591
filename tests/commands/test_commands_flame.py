"""`mmload flame` on the command line: what it shows, what it writes and what it refuses."""

import json

import pytest
from campaign_made import ID, campaign_of
from factory import make_run
from planted_stacks import with_stacks
from typer.testing import CliRunner

from mmload.cli import app
from mmload.commands.flame_choice import Side
from mmload.commands.flame_files import file_name
from mmload.errors import FolderError, MmloadError, UsageError

SHORT = {"rate_rps": 20, "duration_s": 10.0, "warmup_s": 0.0, "stack_samples": 0}
STACKS = {
    "scheduler_TP0": {"hash": 300, "forward": 600, "poll": 100},
    "scheduler_TP1": {"hash": 310, "forward": 590, "poll": 120},
    "tokenizer": {"http": 200},
}
LESS = STACKS | {"scheduler_TP0": {"forward": 600, "poll": 400}, "scheduler_TP1": {"forward": 600, "poll": 400}}


def invoke(*args):
    return CliRunner().invoke(app, ["flame", *map(str, args)], env={"COLUMNS": "100", "NO_COLOR": "1"})


def said(*args):
    result = invoke(*args)
    assert result.exit_code == 0, result.output
    return result.output


def refusal(*args):
    result = invoke(*args)
    assert isinstance(result.exception, MmloadError), result.output
    return result.exception


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "profiles"


@pytest.fixture
def original(out):
    return with_stacks(make_run(out, "original", number=1, **SHORT), STACKS)


@pytest.fixture
def optimized(out):
    return with_stacks(make_run(out, "optimized", number=2, **SHORT), LESS)


def test_the_newest_run_with_stacks_is_shown(original, out):
    make_run(out, "commit", number=9, **SHORT)
    text = said()
    assert original.run_id in text
    assert "hash_feature" in text
    assert "TP0" in text
    assert "TP1" in text
    assert "stand-in" in text


def test_one_process_one_phase_and_one_function_can_be_looked_at(original):
    text = said("--rank", "TP1", "--phase", "hash")
    assert "hash_feature" in text
    assert "TP1" in text
    assert "TP0" not in text
    assert "run_batch" not in text
    assert "hash_feature" not in said("--rank", "0", "--function", "run_batch")


def test_a_difference_names_what_vanished(original, optimized):
    text = said(optimized.run_id, "--diff", original.run_id)
    assert "hash_feature" in text
    assert "vanished" in text
    assert "all ranks" in text


def test_the_runs_of_a_variant_in_a_campaign_are_shown_together(out):
    sides = {
        variant: [
            with_stacks(make_run(out, variant, number=first + seed, seed=seed, **SHORT), stacks) for seed in (0, 1)
        ]
        for variant, first, stacks in (("original", 10, STACKS), ("optimized", 20, LESS))
    }
    campaign_of(out, sides)
    text = said(f"{ID}/optimized", "--diff", f"{ID}/original")
    assert "optimized, 2 runs" in text
    assert "vanished" in text
    assert "4,400 samples" in said(f"{ID}/optimized/")
    said(f"{ID}/optimized", "--folded", "--html")
    folder = out / "campaigns" / ID
    assert (folder / "flame-optimized.html").exists()
    folded = (folder / "flame-optimized.folded").read_text().splitlines()
    assert sum(int(line.rpartition(" ")[2]) for line in folded) == 4400
    assert "is a campaign: say which" in str(refusal(ID))
    assert "no variant 'shm'" in str(refusal(f"{ID}/shm"))
    assert "--slow is of one run" in str(refusal(f"{ID}/original", "--slow"))


def test_a_difference_between_unlike_runs_says_so(original, out):
    other = with_stacks(make_run(out, "optimized", number=3, tp=4, **SHORT), LESS)
    assert "made under other conditions than the base (tp: 4, not 2)" in " ".join(
        said(other.run_id, "--diff", original.run_id).split()
    )


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("--html", "flame.html"),
        ("--svg", "flame.svg"),
        ("--speedscope", "flame.speedscope.json"),
        ("--folded", "flame.folded"),
    ],
)
def test_files_are_written_beside_the_run_and_named(original, form, name):
    text = said(form)
    assert str(original.layout.path / name) in text.replace("\n", "")
    assert (original.layout.path / name).stat().st_size > 100


def test_several_files_are_written_at_once_and_a_named_one_is_one(original, tmp_path):
    said("--html", "--svg")
    assert (original.layout.path / "flame.svg").exists()
    said("--svg", "-o", tmp_path / "mine.svg")
    assert (tmp_path / "mine.svg").read_text().startswith("<svg")
    assert isinstance(refusal("--html", "--svg", "-o", tmp_path / "x"), UsageError)
    assert isinstance(refusal("-o", tmp_path / "x"), UsageError)


def test_folded_stacks_on_standard_output_hold_every_sample(original):
    lines = said("--folded", "-o", "-").splitlines()
    counts = {}
    for line in lines:
        stack, _, count = line.rpartition(" ")
        process = stack.partition(";")[0]
        counts[process] = counts.get(process, 0) + int(count)
    assert counts == {name: sum(found.values()) for name, found in STACKS.items()}


def test_json_round_trips_and_holds_every_sample(original):
    document = json.loads(said("--json"))
    samples = {view["id"]: sum(view["nodes"]["samples"]) for view in document["views"]}
    assert samples == {name: sum(found.values()) for name, found in STACKS.items()} | {"all-ranks": 2020}
    assert document["unit"] == "cpu_ms_per_request"
    assert json.loads(said("--json", "--total"))["unit"] == "cpu_ms_per_s"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--rank", "TP7"], "no such process"),
        (["--phase", "hsh"], "no such phase"),
        (["--function", "("], "no regular expression"),
        (["--rows", "0"], "--rows"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(original, args, words):
    error = refusal(*args)
    assert isinstance(error, UsageError)
    assert words in str(error)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--json", "--svg"], "--json and --svg exclude each other"),
        (["--folded", "--phase", "hash"], "--phase has no folded file"),
        (["--speedscope", "--function", "hash"], "--function has no speedscope file"),
        (["--speedscope", "--total"], "--total has no speedscope file"),
        (["--open", "--json"], "--json and --open exclude each other"),
        (["--json", "--rows", "3"], "--rows is for the terminal"),
        (["--slow", "--total"], "--slow and --total exclude each other"),
        (["--speedscope", "--diff", "BASE"], "--diff has no speedscope file"),
    ],
)
def test_what_would_have_no_effect_is_refused(original, optimized, args, words):
    named = [original.run_id if word == "BASE" else word for word in args]
    error = refusal(optimized.run_id, *named)
    assert isinstance(error, UsageError)
    assert words in str(error)


def test_files_of_differences_from_two_campaigns_have_two_names(out, tmp_path):
    folders = [tmp_path / name for name in ("a", "b")]
    one, same, other = (Side([None, None], "shm", folder) for folder in (folders[0], folders[0], folders[1]))
    names = [file_name("html", (one, base), [], slow=False) for base in (same, other)]
    assert names == ["flame-shm-against-shm.html", "flame-shm-against-b-shm.html"]


def test_runs_that_are_invalid_or_without_a_partner_are_left_out_of_several_and_named(out):
    runs = [with_stacks(make_run(out, "original", number=seed, seed=seed, **SHORT), STACKS) for seed in (0, 1, 2)]
    late = with_stacks(make_run(out, "optimized", number=12, seed=2, validity=["it lagged"], **SHORT), LESS)
    fine = [with_stacks(make_run(out, "optimized", number=10 + seed, seed=seed, **SHORT), LESS) for seed in (0, 1)]
    campaign_of(out, {"original": runs, "optimized": [*fine, late]})
    text = " ".join(said(f"{ID}/optimized", "--diff", f"{ID}/original").split())
    assert "optimized, 2 runs" in text
    assert f"{late.run_id} is INVALID and is left out: it lagged" in text
    assert f"left out, for the other side has no run of the same requests: {runs[2].run_id}" in text
    assert f"{late.run_id} is INVALID: it lagged" in " ".join(said(late.run_id).split())


def test_a_part_is_shown_as_one_in_every_format(original, optimized):
    whole = json.loads(said(original.run_id, "--json"))
    part = json.loads(said(original.run_id, "--json", "--phase", "hash", "--function", r"inputs\.py"))
    assert [view["samples"] for view in part["views"]] == [610, 300, 310, 0]
    assert part["notes"] == [r"only --phase hash --function inputs\.py", *whole["notes"]]
    said(original.run_id, "--html", "--rank", "TP1", "--phase", "hash")
    assert (original.layout.path / "flame-TP1-hash.html").exists()
    text = said(original.run_id, "--phase", "hash")
    assert "run_batch" not in text
    error = refusal(original.run_id, "--function", "nowhere")
    assert str(error) == "--function nowhere: there is no such stack"


def test_the_words_of_a_part_are_those_of_the_part(original, optimized):
    text = said(optimized.run_id, "--diff", original.run_id, "--phase", "forward")
    assert "hash_feature" not in text
    assert "vanished" not in text
    assert "none beyond chance" in text


def test_a_difference_is_written_as_difffolded_writes_it(original, optimized):
    said(optimized.run_id, "--diff", original.run_id, "--folded")
    file = optimized.layout.path / f"flame-against-{original.run_id}.folded"
    counts = [tuple(map(int, line.split(" ")[-2:])) for line in file.read_text().splitlines()]
    assert sum(before for before, _ in counts) == 2220
    assert sum(after for _, after in counts) == 2200
    assert any(line.endswith(" 300 0") for line in file.read_text().splitlines())


def test_a_rank_that_lost_its_profile_is_no_saving(original, optimized):
    original.layout.folded("scheduler_TP1").unlink()
    text = " ".join(said(original.run_id, "--diff", optimized.run_id).split())
    assert f"TP1 has no stacks in {original.run_id}" in text
    assert "not judged, for one side alone has stacks of them: TP1" in text
    assert "TP1 has no stacks" in " ".join(said(original.run_id).split())
    alone = said(original.run_id, "--diff", optimized.run_id, "--rank", "TP1")
    assert "vanished" not in alone
    assert "not judged" in alone


def test_slow_requests_need_stacks_with_their_times_and_go_with_no_other_run(original):
    error = refusal("--slow")
    assert str(error).endswith("does not say what slow requests waited for: it took no stacks with their times")
    assert error.hint == "mmload run --stamped-duration 5s"
    assert "exclude each other" in str(refusal("--slow", "--diff", original.run_id))
    assert "no folded file" in str(refusal("--slow", "--folded"))


def test_a_run_without_stacks_and_a_folder_without_runs_are_said(out):
    assert "no run in" in str(refusal())
    run = make_run(out, "commit", **SHORT)
    assert isinstance(refusal(run.run_id), FolderError)
    assert isinstance(refusal("nothing-there"), FolderError)
