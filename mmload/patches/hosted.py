"""The variants that need a module of their own beside SGLang's scheduler, and the lines that call it."""

from __future__ import annotations

from collections.abc import Sequence

from mmload import __version__
from mmload.handoff.registry import strategy_class
from mmload.patches.bundle import Name, bundle
from mmload.patches.commit import take_out
from mmload.patches.landmarks import (
    CUDA_IPC,
    EACH_RECEIVED,
    GROUPS_MADE,
    PROCESS,
    PROCESSOR,
    SCHEDULE_BATCH,
    SCHEDULER,
    SENDERS,
    START,
    TOKENIZE,
    TOKENIZER,
    VALIDATED,
    expect_no_reader,
    has_cuda_ipc,
)
from mmload.patches.plain import MM_GROUP, fail_alone
from mmload.patches.tree import Tree

HANDOFF = "srt/managers/mm_handoff.py"
_HANDOFF = "sglang.srt.managers.mm_handoff"
_INSTEAD = {
    "mmload.handoff.counters": "mmload.patches.inside.counting",
    "mmload.errors": "mmload.patches.inside.errors",
}
_BUILD_FAILED = Name("mmload.handoff.strategy", "BuildFailed")
_RANK = Name("mmload.patches.inside.rank", "RankHandoff")
_MAPPING_RANK = Name("mmload.patches.inside.tokenizer", "MappingRankHandoff")
_TOKENIZER = Name("mmload.patches.inside.tokenizer", "TokenizerHandoff")


def patch_ranks(tree: Tree, variant: str) -> None:
    """A variant that works among the ranks alone."""
    _add_module(tree, variant, [_RANK])
    _patch_scheduler(tree, variant, _RANK.name)


def patch_both_sides(tree: Tree, variant: str) -> None:
    """A variant that works in the tokenizer too."""
    _add_module(tree, variant, [_MAPPING_RANK, _TOKENIZER])
    _patch_scheduler(tree, variant, _MAPPING_RANK.name, "self.pp_size")
    _patch_tokenizer(tree, variant)


def module_of(variant: str, hosts: Sequence[Name]) -> str:
    """The text of the module: the variant's strategy, the hosts, and what they need."""
    strategy = strategy_class(variant)
    docstring = (
        f"{heading(variant)}\n\nA strategy of mmload {__version__} and its host in SGLang's processes, in one file.\n"
        f"Made by: mmload variants patch {variant}. SPDX-License-Identifier: Apache-2.0\n"
    )
    roots = [Name(strategy.__module__, strategy.__name__), _BUILD_FAILED, *hosts]
    return bundle(docstring, roots, _INSTEAD)


def heading(variant: str) -> str:
    """The module's first line: which variant a tree was patched with."""
    return f"How multimodal inputs reach the tensor-parallel ranks: {variant}."


def _add_module(tree: Tree, variant: str, hosts: Sequence[Name]) -> None:
    tree.add(HANDOFF, module_of(variant, hosts))


def _patch_scheduler(tree: Tree, variant: str, host: str, *more: str) -> None:
    take_out(tree)
    scheduler = tree.source(SCHEDULER)
    strategy = strategy_class(variant).__name__
    given = [strategy, "self.mm_group", "torch.distributed", "MultimodalInputs.from_dict", *more]
    made = ["self.mm_handoff = " + host + "(", *(f"    {each}," for each in given), ")"]
    scheduler.import_names(_HANDOFF, strategy, "BuildFailed", host)
    scheduler.insert_before(START, GROUPS_MADE, MM_GROUP + "\n".join(made), blank=1)
    scheduler.insert_before(PROCESS, EACH_RECEIVED, "self.mm_handoff.receive(recv_reqs)")
    scheduler.insert_after(PROCESS, EACH_RECEIVED, "self.mm_handoff.forget_unused()")
    fail_alone(scheduler, "self.mm_handoff.materialise", "BuildFailed", "recv_req")


def _patch_tokenizer(tree: Tree, variant: str) -> None:
    expect_no_reader(tree)
    tokenizer = tree.source(TOKENIZER)
    strategy = strategy_class(variant).__name__
    against = {"--nnodes": "server_args.nnodes > 1"}
    if has_cuda_ipc(tree):
        against["SGLANG_USE_CUDA_IPC_TRANSPORT"] = CUDA_IPC
        tokenizer.import_names(PROCESSOR, CUDA_IPC)
    made = [
        "mm_against = {",
        *(f'    "{option}": {given},' for option, given in against.items()),
        "}",
        f"self.mm_handoff = {_TOKENIZER.name}(",
        f"    {strategy}, MultimodalInputs.from_dict, fastapi.HTTPException, mm_against",
        ")",
    ]
    tokenizer.import_names(SCHEDULE_BATCH, "MultimodalInputs")
    tokenizer.import_names(_HANDOFF, strategy, _TOKENIZER.name)
    tokenizer.insert_after("TokenizerManager.__init__", "self.server_args = server_args", "\n".join(made))
    tokenizer.insert_after(TOKENIZE, VALIDATED, "mm_inputs = await self.mm_handoff.built(mm_inputs)")
    for sender, sent in SENDERS.items():
        send = f"self.send_to_scheduler.send_pyobj({sent})"
        packed = f"with self.mm_handoff.packed({sent}) as packed:\n    self.send_to_scheduler.send_pyobj(packed)"
        tokenizer.replace(sender, send, packed)
