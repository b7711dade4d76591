"""Variant -> a patch of somebody's SGLang, or why none is needed; refusals, where one can't be made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mmload.errors import UsageError
from mmload.patches import hosted, plain
from mmload.patches.commit import Form, form_of
from mmload.patches.landmarks import ENVIRON, MM_UTILS, OPTION, SCHEDULER
from mmload.patches.tree import Tree
from mmload.plan.variants import load_variant

# The releases whose unpacked wheels took every patch (tests/patches/test_patches_real.py).
TRIED = (
    *("0.5.4.post2", "0.5.4.post3"),
    *("0.5.5", "0.5.5.post1", "0.5.5.post2", "0.5.5.post3"),
    *("0.5.6", "0.5.6.post1", "0.5.6.post2"),
)
_RELEASES = f"{TRIED[0]} to {TRIED[-1]}"


class Patch(NamedTuple):
    """diff: for `git apply`, run in `root`; empty where nothing is to be done. notes: what whoever applies it should
    know, a sentence each."""

    diff: str
    root: Path
    version: str
    notes: tuple[str, ...]


_RECIPES: Mapping[str, Callable[[Tree], None]] = {
    "original": plain.patch_rollback,
    "rollback": plain.patch_rollback,
    "commit": plain.patch_commit,
    "optimized": plain.patch_optimized,
    "delayed": plain.patch_delayed,
    "shm": partial(hosted.patch_both_sides, variant="shm"),
    **{
        variant: partial(hosted.patch_ranks, variant=variant)
        for variant in ("batch-broadcast", "dynamic-batch", "async-broadcast", "async-batch", "combined", "delta")
    },
}


def make_patch(variant: str, folder: Path) -> Patch:
    """The patch that makes the SGLang in `folder` run a variant, whatever it is started with. Raises UsageError where
    there is no SGLang, where the variant can't be patched into it, or where its files don't look as expected."""
    if variant == "stock":
        raise UsageError("stock is the server as it is: there is nothing to patch")
    if variant not in _RECIPES:
        load_variant(variant)
        raise UsageError(f"there is no patch of {variant}", f"there are: {', '.join(_RECIPES)}")
    tree = Tree(folder)
    try:
        needless = _why_needless(variant, tree)
        if needless:
            return Patch("", tree.root, tree.version, (needless,))
        notes = _notes(variant, tree)
        _RECIPES[variant](tree)
    except UsageError as error:
        hint = error.hint or f"made for {_RELEASES}; what was changed by hand in these places has to be patched by hand"
        raise UsageError(f"can't patch SGLang {tree.version} in {folder}: {error}", hint) from error
    return Patch(tree.diff(), tree.root, tree.version, notes)


def _why_needless(variant: str, tree: Tree) -> str | None:
    """Why there is nothing to do, or None. Raises UsageError where nothing can be done."""
    if tree.source(MM_UTILS).defines("ShmPointerMMData"):
        return _setting(variant, tree)
    carried = _carried(tree)
    if carried == variant:
        return f"this SGLang carries the patch {variant} already"
    if carried:
        raise UsageError(f"it carries the patch {carried}", "take that out first: git apply -R PATCH")
    form = form_of(tree.source(SCHEDULER))
    if form is Form.WITHOUT and variant in {"original", "rollback"}:
        return f"this SGLang is without the commit: every rank builds from the dict, which is what {variant} is"
    if form is Form.BY_OPTION and variant == "original":
        return f"this SGLang runs original, unless it is started with {OPTION} (rollback takes that away)"
    return None


def _setting(variant: str, tree: Tree) -> str:
    """What a recent release does instead: it hands features over in shared memory, and no dict travels."""
    hashes = "start it with SGLANG_MM_PRECOMPUTE_HASH=1, and the tokenizer hashes, once"
    known = tree.source(ENVIRON).count("", "SGLANG_MM_PRECOMPUTE_HASH") > 0
    said = {
        "original": f"every rank builds, unless it is started with {OPTION}",
        "rollback": f"every rank builds, unless it is started with {OPTION}",
        "commit": f"start it with {OPTION}",
        **({"optimized": hashes, "shm": f"features lie in /dev/shm already; {hashes}"} if known else {}),
    }
    if variant not in said:
        raise UsageError("it hands features over in shared memory already", f"this patch is made for {_RELEASES}")
    return f"SGLang {tree.version} does so by itself: {said[variant]}"


def _carried(tree: Tree) -> str | None:
    """The variant whose patch is in the tree."""
    if tree.has(hosted.HANDOFF):
        text = tree.source(hosted.HANDOFF).text
        return next((name for name in _RECIPES if text.startswith(f'"""{hosted.heading(name)}')), hosted.HANDOFF)
    for variant, (file, scope, piece) in plain.CARRIED.items():
        if tree.source(file).defines(scope) and tree.source(file).count(scope, piece):
            return variant
    return None


def _notes(variant: str, tree: Tree) -> tuple[str, ...]:
    notes = []
    if variant != "optimized" and form_of(tree.source(SCHEDULER)) is Form.BY_OPTION:
        notes.append(f"the option {OPTION} goes: a patched server always runs {variant}")
    if tree.version not in TRIED:
        notes.append(f"made for {_RELEASES}: this release looks the same in these places, and was not tried")
    return tuple(notes)
