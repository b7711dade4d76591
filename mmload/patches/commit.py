"""SGLang's commit 17a57fd86 (PR #11910) in somebody's tree, and the tree without it.

    before the commit      image_inputs = MultimodalInputs.from_dict(recv_req.mm_inputs)
    from 0.5.4.post2 on    image_inputs = self._process_and_broadcast_mm_inputs(recv_req.mm_inputs)
    from 0.5.5.post3 on    image_inputs = self._get_multimodal_inputs(recv_req.mm_inputs)
                           which does the one with --enable-broadcast-mm-inputs-process, and the other without

So in `handle_generate_request`, and in `handle_embedding_request`, where the attribute is `image_inputs`.
"""

from __future__ import annotations

from enum import StrEnum

from mmload.patches.landmarks import HANDLERS, OPTION, SCHEDULER, SERVER_ARGS, START
from mmload.patches.source import Source
from mmload.patches.tree import Tree

_METHOD, _CHOICE = "_process_and_broadcast_mm_inputs", "_get_multimodal_inputs"


class Form(StrEnum):
    """How a tree comes to the inputs; the value is the function that its handlers call."""

    WITHOUT = "MultimodalInputs.from_dict"
    ALWAYS = f"self.{_METHOD}"
    BY_OPTION = f"self.{_CHOICE}"


def form_of(scheduler: Source) -> Form:
    """Raises UsageError where the handlers make the inputs in another way, or more than one, or read the dict
    elsewhere."""
    method, choice = (scheduler.defines(f"Scheduler.{name}") for name in (_METHOD, _CHOICE))
    form = Form.BY_OPTION if choice else Form.ALWAYS if method else Form.WITHOUT
    for handler, raw in HANDLERS.items():
        scheduler.expect(handler, made_by(form, raw), 1)
        scheduler.expect(handler, raw, 2)
    return form


def made_by(form: Form, raw: str) -> str:
    """The statement that a patch of another variant goes in the place of."""
    return f"image_inputs = {form}({raw})"


def take_out(tree: Tree) -> Form:
    """Bring the tree to the form without the commit; its form until now."""
    scheduler = tree.source(SCHEDULER)
    form = form_of(scheduler)
    if form is Form.WITHOUT:
        return form
    for handler, raw in HANDLERS.items():
        scheduler.replace(handler, made_by(form, raw), made_by(Form.WITHOUT, raw))
    scheduler.expect(f"Scheduler.{_METHOD}", "torch.distributed.broadcast_object_list(", 2)
    scheduler.remove_definition(f"Scheduler.{_METHOD}")
    if form is Form.BY_OPTION:
        scheduler.expect(f"Scheduler.{_CHOICE}", "enable_broadcast_mm_inputs_process", 1)
        scheduler.remove_definition(f"Scheduler.{_CHOICE}")
        arguments = tree.source(SERVER_ARGS)
        arguments.remove("ServerArgs", "enable_broadcast_mm_inputs_process: bool = False")
        arguments.remove("ServerArgs.add_cli_args", f"parser.add_argument('{OPTION}'...")
    _take_out_group(scheduler, keep=tree.mentions(r"\bself\.cpu_group\b", "srt/managers/scheduler_*.py"))
    return form


def _take_out_group(scheduler: Source, *, keep: bool) -> None:
    """What the commit noted about the group. keep: a mixin of the scheduler has found a use for `self.cpu_group`."""
    if not keep:
        scheduler.remove(START, "if self.server_args.enable_dp_attention:")
        return
    for statement in (
        "self.entry_rank = self.attn_tp_group.first_rank",
        "self.is_entry_rank = self.attn_tp_rank == 0",
        "self.entry_rank = self.tp_group.first_rank",
        "self.is_entry_rank = self.tp_group.rank_in_group == 0",
        "self.is_entry_rank = self.tp_group.rank == 0",
    ):
        if scheduler.has(START, statement):
            scheduler.remove(START, statement)
