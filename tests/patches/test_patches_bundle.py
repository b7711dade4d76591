"""The module that a patch adds: it stands alone, and holds what it needs and no more."""

import ast
import builtins

import pytest

from mmload.handoff.registry import STRATEGIES, strategy_class
from mmload.patches.bundle import Name, bundle
from mmload.patches.hosted import heading, module_of

RANK = Name("mmload.patches.inside.rank", "RankHandoff")
TOKENIZER = Name("mmload.patches.inside.tokenizer", "TokenizerHandoff")
BUNDLES = {variant: module_of(variant, [RANK, TOKENIZER]) for variant in STRATEGIES if variant != "stock"}


@pytest.mark.parametrize("variant", BUNDLES)
def test_nothing_of_ours_is_imported_and_no_name_is_missing(variant):
    text = BUNDLES[variant]
    module = ast.parse(text)
    imported = [node for node in ast.walk(module) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not any("mmload" in ast.unparse(node) for node in imported)
    stored = {node.id for node in ast.walk(module) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    defined = {getattr(node, "name", "") or "" for node in ast.walk(module)}
    given = {alias.asname or alias.name for node in imported for alias in node.names}
    taken = {
        argument.arg
        for node in ast.walk(module)
        if isinstance(node, ast.arguments)
        for argument in ast.walk(node)
        if isinstance(argument, ast.arg)
    }
    used = {node.id for node in ast.walk(module) if isinstance(node, ast.Name)}
    assert used <= stored | defined | given | taken | set(dir(builtins))


@pytest.mark.parametrize("variant", BUNDLES)
def test_the_module_says_which_variant_it_is_and_has_its_strategy(variant):
    assert BUNDLES[variant].startswith(f'"""{heading(variant)}')
    assert f"class {strategy_class(variant).__name__}(" in BUNDLES[variant]


def test_only_what_is_needed_is_taken():
    text = module_of("batch-broadcast", [RANK])
    for other in ("DynamicBatch", "BackgroundBroadcast", "Segments", "TokenizerHandoff", "import pickle", "noqa"):
        assert other not in text


def test_definitions_follow_those_that_they_are_made_from():
    text = BUNDLES["shm"]
    order = [
        text.index(f"class {name}") for name in ("Counters", "Strategy", "Shm(", "RankHandoff", "TokenizerHandoff")
    ]
    assert order == sorted(order)


def test_a_name_of_two_meanings_is_found_out():
    names = [Name("mmload.handoff.counters", "Counters"), Name("mmload.patches.inside.counting", "Counters")]
    with pytest.raises(ValueError, match="Counters means two things"):
        bundle("", names, {})


def test_a_name_that_is_not_there_is_found_out():
    with pytest.raises(ValueError, match=r"mmload\.handoff\.shm has no Nothing"):
        bundle("", [Name("mmload.handoff.shm", "Nothing")], {})
