"""Patches of a small server that is put together as SGLang is: they apply, and the patched server does what they say."""

import functools

import pytest
from fake_sglang import FORMS, git, run, write

from mmload.errors import UsageError
from mmload.handoff.registry import STRATEGIES
from mmload.patches.recipes import make_patch
from mmload.plan.variants import load_variants

VARIANTS = sorted(set(STRATEGIES) - {"stock"})
AT_TOKENIZER = {"optimized", "shm"}
ON_EVERY_RANK = {"original", "rollback", "delayed", "combined"}
UNGUARDED = {"original", "rollback"}  # as before the commit: what can't be built ends SGLang
GUARDED = [variant for variant in VARIANTS if variant not in UNGUARDED]
MEDIA = ("one", "embedding", "three", "two")
OPTION = "--enable-broadcast-mm-inputs-process"
SCHEDULER = "sglang/srt/managers/scheduler.py"


def patch_up(folder, variant):
    patch = make_patch(variant, folder)
    git(folder, "apply", "--check", text=patch.diff)
    git(folder, "apply", text=patch.diff)
    return patch


def contents(folder):
    return {path: path.read_bytes() for path in folder.glob("sglang/**/*.py")}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """outcome(variant, ranks, form) -> what a patched server made of one receive batch."""

    @functools.cache
    def make(variant, ranks=2, form="option"):
        folder = write(tmp_path_factory.mktemp(variant), form)
        patch_up(folder, variant)
        return run(folder, ranks)

    return make


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("variant", GUARDED)
def test_every_rank_makes_the_same_inputs_of_every_request(outcome, variant, ranks):
    expected = outcome("optimized", 1)["ranks"][0]
    made = outcome(variant, ranks)["ranks"]
    assert [{rid: rank[rid] for rid in (*MEDIA, "text")} for rank in made] == [
        {rid: expected[rid] for rid in (*MEDIA, "text")}
    ] * ranks
    assert len({str(expected[rid]) for rid in MEDIA}) == len(MEDIA)


@pytest.mark.parametrize("variant", GUARDED)
def test_features_that_can_not_be_built_from_fail_their_own_request_alone(outcome, variant):
    done = outcome(variant)
    said = [done["refused"]] if variant in AT_TOKENIZER else done["ranks"]
    assert [each["malformed"] for each in said] == ["Malformed multimodal inputs: KeyError('mm_items')"] * len(said)


@pytest.mark.parametrize("variant", GUARDED)
def test_each_variant_builds_where_it_says(outcome, variant):
    built, on_every_rank = outcome(variant)["built"], 2 * (len(MEDIA) + 1)  # and the malformed one
    if variant in AT_TOKENIZER:
        assert built == 0
    elif variant in ON_EVERY_RANK:
        assert built >= on_every_rank
    else:
        assert 0 < built < on_every_rank


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("variant", ["optimized", "batch-broadcast", "commit"])
def test_a_patch_takes_the_tree_as_it_finds_it(outcome, variant, form):
    assert outcome(variant, 2, form)["ranks"] == outcome(variant)["ranks"]


def test_shared_memory_carries_the_features(outcome):
    assert outcome("shm")["bytes"] < 8192 < outcome("optimized")["bytes"]


@pytest.mark.parametrize("form", ["always", "option"])
def test_rollback_is_the_reverse_of_the_commit(tmp_path, form):
    folder = write(tmp_path / "with", form)
    patch_up(folder, "rollback")
    before = write(tmp_path / "before", "without")
    for name in (SCHEDULER, "sglang/srt/server_args.py"):
        ours, theirs = (
            [line for line in (where / name).read_text().splitlines() if line.strip()] for where in (folder, before)
        )
        assert ours == theirs


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_patch_that_is_taken_out_again_leaves_every_byte_as_it_was(tmp_path, variant):
    folder = write(tmp_path, "always")
    before = contents(folder)
    patch = patch_up(folder, variant)
    assert contents(folder) != before
    git(folder, "apply", "-R", text=patch.diff)
    assert contents(folder) == before


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_tree_that_has_the_patch_needs_none(tmp_path, variant):
    folder = write(tmp_path, "always")
    patch_up(folder, variant)
    again = make_patch(variant, folder)
    assert again.diff == ""
    assert len(again.notes) == 1


@pytest.mark.parametrize("variant", GUARDED)
def test_a_tree_that_has_another_patch_is_refused(tmp_path, variant):
    folder = write(tmp_path)
    patch_up(folder, variant)
    other = "shm" if variant != "shm" else "optimized"
    with pytest.raises(UsageError, match=f"it carries the patch {variant}") as refused:
        make_patch(other, folder)
    assert "git apply -R" in refused.value.hint


@pytest.mark.parametrize(
    ("variant", "form", "said"),
    [
        ("rollback", "without", "without the commit: every rank builds from the dict, which is what rollback is"),
        ("original", "without", "which is what original is"),
        ("original", "option", f"runs original, unless it is started with {OPTION}"),
    ],
)
def test_where_nothing_is_to_be_done_it_is_said_why(tmp_path, variant, form, said):
    patch = make_patch(variant, write(tmp_path, form))
    assert patch.diff == ""
    assert said in patch.notes[0]


def test_an_option_that_goes_is_named(tmp_path):
    folder = write(tmp_path)
    assert any(OPTION in note for note in make_patch("rollback", folder).notes)
    assert not make_patch("optimized", folder).notes


def test_a_release_that_nobody_tried_is_named_as_such(tmp_path):
    folder = write(tmp_path)
    assert not any("not tried" in note for note in make_patch("commit", folder).notes)
    (folder / "sglang/version.py").write_text("import of_nothing\n")
    patch = make_patch("commit", folder)
    assert patch.version == "of an unknown version"
    assert any("not tried" in note for note in patch.notes)


@pytest.mark.parametrize(
    ("variant", "file", "old", "new", "said"),
    [
        (
            "commit",
            SCHEDULER,
            "image_inputs = self._get_multimodal_inputs(recv_req.mm_inputs)",
            "image_inputs = self._get_multimodal_inputs(dict(recv_req.mm_inputs))",
            "Scheduler.handle_generate_request: `image_inputs = self._get_multimodal_inputs(recv_req.mm_inputs)` stands there 0 times",
        ),
        (
            "delta",
            SCHEDULER,
            "for recv_req in recv_reqs:",
            "for recv_req in list(recv_reqs):",
            "process_input_requests",
        ),
        (
            "batch-broadcast",
            SCHEDULER,
            "req.inputs = image_inputs\n\n",
            "req.inputs = image_inputs\n        print(recv_req.mm_inputs)\n\n",
            "`recv_req.mm_inputs` stands there 3 times and not 2",
        ),
        (
            "optimized",
            "sglang/srt/managers/tokenizer_manager.py",
            "self.send_to_scheduler.send_pyobj(tokenized_obj)",
            "self.send_to_scheduler.send_pyobj(tokenized_obj); tokenized_obj.mm_inputs.clear()",
            "`.mm_inputs` stands there 1 times and not 0",
        ),
        ("shm", SCHEDULER, "class Scheduler:", "class Scheduler", "can't be read as Python"),
    ],
)
def test_a_tree_that_does_not_look_as_expected_is_refused_by_what_differs(tmp_path, variant, file, old, new, said):
    folder = write(tmp_path)
    text = (folder / file).read_text()
    assert text.count(old) == 1
    (folder / file).write_text(text.replace(old, new))
    with pytest.raises(UsageError, match=r"can't patch SGLang 0\.5\.5") as refused:
        make_patch(variant, folder)
    assert said in str(refused.value)
    assert refused.value.exit_code == 2
    assert refused.value.hint


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ("original", OPTION),
        ("commit", OPTION),
        ("optimized", "PRECOMPUTE_HASH=1"),
        ("shm", "/dev/shm"),
        ("delta", None),
    ],
)
def test_a_release_with_shared_memory_of_its_own_is_told_apart(tmp_path, variant, said):
    folder = write(tmp_path)
    (folder / "sglang/srt/managers/mm_utils.py").write_text("class ShmPointerMMData:\n    pass\n")
    (folder / "sglang/srt/environ.py").write_text("SGLANG_MM_PRECOMPUTE_HASH = False\n")
    if said is None:
        with pytest.raises(UsageError, match="it hands features over in shared memory already"):
            make_patch(variant, folder)
    else:
        patch = make_patch(variant, folder)
        assert patch.diff == ""
        assert said in patch.notes[0]


@pytest.mark.parametrize(
    ("variant", "said", "hint"),
    [
        ("stock", "stock is the server as it is", ""),
        ("optimised", "unknown variant 'optimised'", "optimized"),
        ("delta:Delta", "unknown variant", "delta"),
    ],
)
def test_what_is_no_patch_is_refused(tmp_path, variant, said, hint):
    with pytest.raises(UsageError, match=said) as refused:
        make_patch(variant, write(tmp_path))
    assert hint in refused.value.hint


@pytest.mark.parametrize("inside", ["python/sglang", "sglang"])
def test_paths_are_those_from_where_the_patch_is_to_be_applied(tmp_path, inside):
    made = write(tmp_path / "made")
    package = tmp_path / "root" / inside
    package.parent.mkdir(parents=True)
    (made / "sglang").rename(package)
    for folder in (tmp_path / "root", package.parent, package):
        patch = make_patch("optimized", folder)
        assert patch.root == tmp_path / "root"
        assert f"--- a/{inside}/srt/managers/scheduler.py\n" in patch.diff


def test_paths_inside_a_repository_are_from_its_top(tmp_path):
    git(tmp_path, "init", "--quiet")
    made = write(tmp_path / "venv" / "site-packages")
    (made / ".git").rename(tmp_path / "elsewhere")
    patch = make_patch("optimized", made)
    assert patch.root == tmp_path
    git(made, "apply", text=patch.diff)
    assert make_patch("optimized", made).diff == ""


def test_a_folder_without_sglang_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no SGLang in") as refused:
        make_patch("optimized", tmp_path)
    assert "site-packages" in refused.value.hint


def test_every_variant_but_stock_says_which_releases_its_patch_is_for():
    assert {card.name for card in load_variants() if card.patch} == set(VARIANTS)
