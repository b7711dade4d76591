"""The variants whose whole change is a few lines, written as SGLang's own code is."""

from __future__ import annotations

from mmload.patches.commit import Form, form_of, made_by, take_out
from mmload.patches.landmarks import (
    CUDA_IPC,
    GROUPS_MADE,
    HANDLERS,
    IO_STRUCT,
    PROCESSOR,
    SCHEDULE_BATCH,
    SCHEDULER,
    START,
    TOKENIZE,
    TOKENIZER,
    VALIDATED,
    expect_no_reader,
    has_cuda_ipc,
)
from mmload.patches.source import LINE_LENGTH, Source
from mmload.patches.tree import Tree

_DEPTH = 16  # of a statement in a handler's `try`

_ERROR = '''
class MMInputsError(ValueError):
    """The multimodal inputs of a request can't be built. Raised on every rank, it
    fails that request alone."""
'''

_COMMIT = '''
def _process_and_broadcast_mm_inputs(self, raw_mm_inputs: dict):
    """Build MultimodalInputs on the entry rank and broadcast it to the other ranks.

    An error is broadcast too: an entry rank that raised before its broadcast would
    leave its peers waiting.
    """
    group = self.mm_group
    result = [None]
    if group.rank_in_group == 0:
        try:
            result = [MultimodalInputs.from_dict(raw_mm_inputs)]
        except Exception as e:
            result = [MMInputsError(f"Malformed multimodal inputs: {e!r}")]
    if group.world_size > 1:
        torch.distributed.broadcast_object_list(
            result, src=group.ranks[0], group=group.cpu_group
        )
    if isinstance(result[0], MMInputsError):
        raise result[0]
    return result[0]
'''

_DELAYED = '''
def _broadcast_raw_mm_inputs(self, raw_mm_inputs: dict):
    """Broadcast the processor's output, and build MultimodalInputs on all ranks at
    the same time."""
    group = self.mm_group
    if group.world_size > 1:
        result = [raw_mm_inputs if group.rank_in_group == 0 else None]
        torch.distributed.broadcast_object_list(
            result, src=group.ranks[0], group=group.cpu_group
        )
        raw_mm_inputs = result[0]
    try:
        return MultimodalInputs.from_dict(raw_mm_inputs)
    except Exception as e:
        raise MMInputsError(f"Malformed multimodal inputs: {e!r}") from e
'''

MM_GROUP = """
# The ranks that receive the same requests.
self.mm_group = (
    self.attn_tp_group if server_args.enable_dp_attention else self.tp_group
)
"""

_BUILD = """
if mm_inputs is not None{but}:
    # Built and hashed once, here, off the event loop: every TP rank receives the
    # finished object.
    try:
        mm_inputs = await asyncio.to_thread(
            MultimodalInputs.from_dict, mm_inputs
        )
    except Exception as e:
        raise ValueError(f"Malformed multimodal inputs: {e!r}") from e
"""

# What a tree with the patch has: variant -> file, scope, a piece of code in it.
CARRIED = {
    "commit": (SCHEDULER, "Scheduler._process_and_broadcast_mm_inputs", "MMInputsError"),
    "delayed": (SCHEDULER, "Scheduler._broadcast_raw_mm_inputs", "MMInputsError"),
    "optimized": (TOKENIZER, TOKENIZE, "MultimodalInputs.from_dict"),
}


def patch_rollback(tree: Tree) -> None:
    take_out(tree)


def patch_commit(tree: Tree) -> None:
    _make_inputs_by(tree, "_process_and_broadcast_mm_inputs", _COMMIT)


def patch_delayed(tree: Tree) -> None:
    _make_inputs_by(tree, "_broadcast_raw_mm_inputs", _DELAYED)


def patch_optimized(tree: Tree) -> None:
    """What the ranks do with a dict stays: one that no tokenizer could build from is theirs."""
    _accept_objects(tree.source(SCHEDULER))
    tokenizer = tree.source(TOKENIZER)
    expect_no_reader(tree)
    but = ""
    if has_cuda_ipc(tree):
        tokenizer.import_names(PROCESSOR, CUDA_IPC)
        but = f" and not {CUDA_IPC}"
    tokenizer.import_names(SCHEDULE_BATCH, "MultimodalInputs")
    tokenizer.insert_after(TOKENIZE, VALIDATED, _BUILD.replace("{but}", but))
    messages = tree.source(IO_STRUCT)
    messages.import_names(SCHEDULE_BATCH, "MultimodalInputs")
    for message, field in (("TokenizedGenerateReqInput", "mm_inputs"), ("TokenizedEmbeddingReqInput", "image_inputs")):
        messages.replace(message, f"{field}: dict", f"{field}: Optional[Union[dict, MultimodalInputs]]")


def fail_alone(scheduler: Source, maker: str, error: str, argument: str = "{raw}") -> None:
    """Make the inputs by calling `maker`; a request that can't be built leaves as SGLang ends any other that it
    refuses. argument: `{raw}` in it stands for the attribute of the request that the features came in."""
    for handler, raw in HANDLERS.items():
        prepare = ["    self.init_req_max_new_tokens(req)"] if "generate" in handler else []
        lines = [
            "try:",
            *(f"    {line}" for line in _call("image_inputs", maker, argument.format(raw=raw))),
            f"except {error} as e:",
            "    req.set_finish_with_abort(str(e))",
            *prepare,
            "    self._add_request_to_queue(req)",
            "    return",
        ]
        scheduler.replace(handler, made_by(Form.WITHOUT, raw), "\n".join(lines))


def _make_inputs_by(tree: Tree, method: str, code: str) -> None:
    take_out(tree)
    scheduler = tree.source(SCHEDULER)
    scheduler.insert_before(START, GROUPS_MADE, MM_GROUP, blank=1)
    scheduler.insert_definition("Scheduler.handle_generate_request", code)
    scheduler.insert_definition("Scheduler", _ERROR)
    fail_alone(scheduler, f"self.{method}", "MMInputsError")


def _accept_objects(scheduler: Source) -> None:
    form = form_of(scheduler)
    for handler, raw in HANDLERS.items():
        lines = [
            f"image_inputs = {raw}",
            "if not isinstance(image_inputs, MultimodalInputs):",
            f"    image_inputs = {form}(image_inputs)",
        ]
        scheduler.replace(handler, made_by(form, raw), "\n".join(lines))


def _call(target: str, function: str, argument: str) -> list[str]:
    line = f"{target} = {function}({argument})"
    if _DEPTH + len(line) <= LINE_LENGTH:
        return [line]
    return [f"{target} = {function}(", f"    {argument}", ")"]
