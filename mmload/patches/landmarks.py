"""What the patches hold on to in SGLang: files, functions, and statements as `ast.unparse` writes them."""

from __future__ import annotations

from mmload.patches.tree import Tree

SCHEDULER = "srt/managers/scheduler.py"
TOKENIZER = "srt/managers/tokenizer_manager.py"
IO_STRUCT = "srt/managers/io_struct.py"
MM_UTILS = "srt/managers/mm_utils.py"
SERVER_ARGS = "srt/server_args.py"
ENVIRON = "srt/environ.py"
SCHEDULE_BATCH = "sglang.srt.managers.schedule_batch"
OPTION = "--enable-broadcast-mm-inputs-process"

# The scheduler. A handler reads the features of a request here, once to see whether there are any, once for the inputs.
HANDLERS = {
    "Scheduler.handle_generate_request": "recv_req.mm_inputs",
    "Scheduler.handle_embedding_request": "recv_req.image_inputs",
}
START = "Scheduler.__init__"
GROUPS_MADE = "self.pad_input_ids_func = self.tp_worker.get_pad_input_ids_func()"  # right after the ranks' groups
PROCESS = "Scheduler.process_input_requests"
EACH_RECEIVED = "for recv_req in recv_reqs:"

# The tokenizer manager. Features are known, and the request found valid, after VALIDATED.
TOKENIZE = "TokenizerManager._tokenize_one_request"
VALIDATED = "self._validate_one_request(obj, input_ids)"
SENDERS = {
    "TokenizerManager._send_one_request": "tokenized_obj",
    "TokenizerManager._send_batch_request": "batch_req",
}
_PROCESSOR = "srt/multimodal/processors/base_processor.py"
PROCESSOR = "sglang.srt.multimodal.processors.base_processor"
CUDA_IPC = "SGL_USE_CUDA_IPC"  # of that module: features stay on the GPU, and this process can't open its own handle


def has_cuda_ipc(tree: Tree) -> bool:
    """Whether the release has that switch."""
    return tree.has(_PROCESSOR) and tree.source(_PROCESSOR).has("", f"{CUDA_IPC} = ...")


def expect_no_reader(tree: Tree) -> None:
    """Raises UsageError where the tokenizer manager looks into the features of a request that has been made."""
    tree.source(TOKENIZER).expect("TokenizerManager", ".mm_inputs", 0)
