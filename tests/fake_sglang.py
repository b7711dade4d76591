"""A small server that is put together as SGLang is, where a patch looks: enough of it to be patched, and to run.

Every line of it is ours. `write` makes the package `sglang` and a `torch` whose ranks are threads; `run` lets them work.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

RUN = Path(__file__).parent / "fake_run.py"

TORCH = """
class Tensor:
    pass
"""

DISTRIBUTED = """
# Broadcasts among threads: a group is a place where its ranks meet.
import pickle, threading

rank = threading.local()


class Group:
    def __init__(self, ranks):
        self.ranks, self.sent, self.barrier = ranks, None, threading.Barrier(len(ranks))


groups, lock = {}, threading.Lock()


def new_group(ranks, backend, use_local_synchronization):
    rank.opened = getattr(rank, "opened", 0) + 1
    with lock:
        return groups.setdefault((rank.opened, *ranks), Group(ranks))


def broadcast_object_list(objects, src, group):
    if objects[0] is not None:
        group.sent = pickle.dumps(objects)
    group.barrier.wait(10)
    objects[:] = pickle.loads(group.sent)
    group.barrier.wait(10)


def destroy_process_group(group):
    group.barrier.abort()
"""

SCHEDULE_BATCH = """
import hashlib, threading

built, lock = [], threading.Lock()  # everything, by any rank


class BaseFinishReason:
    pass


class MultimodalInputs:
    def __init__(self, mm_items):
        self.mm_items = mm_items

    @staticmethod
    def from_dict(obj):
        with lock:
            built.append(obj)
        for item in obj["mm_items"]:
            item.hash = int.from_bytes(hashlib.sha256(item.feature).digest()[:8], "big")
        return MultimodalInputs(obj["mm_items"])


class Item:
    def __init__(self, feature):
        self.feature, self.hash = feature, None
"""

MM_UTILS = """
def hash_feature(f):
    return f
"""

IO_STRUCT = """
from dataclasses import dataclass
from typing import List, Optional, Union

from sglang.srt.managers.schedule_batch import BaseFinishReason


@dataclass
class TokenizedGenerateReqInput:
    rid: str
    mm_inputs: dict


@dataclass
class TokenizedEmbeddingReqInput:
    rid: str
    image_inputs: dict


@dataclass
class BatchTokenizedReqInput:
    batch: List[object]
"""

GROUP_NOTES = """
# Whom the commit broadcasts to.
if self.server_args.enable_dp_attention:
    self.cpu_group = self.attn_tp_group.cpu_group
    self.is_entry_rank = self.attn_tp_rank == 0
else:
    self.cpu_group = self.tp_group.cpu_group
    self.is_entry_rank = self.tp_group.rank == 0
"""

COMMIT = """
def _process_and_broadcast_mm_inputs(self, raw_mm_inputs):
    if self.is_entry_rank:
        objects = [MultimodalInputs.from_dict(raw_mm_inputs)]
        torch.distributed.broadcast_object_list(objects, src=0, group=self.cpu_group)
    else:
        objects = [None]
        torch.distributed.broadcast_object_list(objects, src=0, group=self.cpu_group)
    return objects[0]
"""

CHOICE = """
def _get_multimodal_inputs(self, mm_inputs_dict):
    if self.server_args.enable_broadcast_mm_inputs_process:
        return self._process_and_broadcast_mm_inputs(mm_inputs_dict)
    else:
        return MultimodalInputs.from_dict(mm_inputs_dict)
"""

SCHEDULER = """
import torch
import torch.distributed

from sglang.srt.managers.io_struct import (
    BatchTokenizedReqInput,
    TokenizedEmbeddingReqInput,
    TokenizedGenerateReqInput,
)
from sglang.srt.managers.schedule_batch import MultimodalInputs
from sglang.srt.server_args import ServerArgs


class Req:
    def __init__(self, rid):
        self.rid, self.inputs, self.error = rid, None, None

    def set_finish_with_abort(self, error_msg):
        self.error = error_msg


class Scheduler:
    def __init__(self, server_args, tp_group):
        self.server_args = server_args
        self.pp_size = 1
        self.attn_tp_rank = 0
        self.tp_worker = self
        self.tp_group = self.attn_tp_group = tp_group
        self.queue = []
@NOTES@
        self.pad_input_ids_func = self.tp_worker.get_pad_input_ids_func()

    def get_pad_input_ids_func(self):
        return None

    def _request_dispatcher(self, recv_req):
        if isinstance(recv_req, BatchTokenizedReqInput):
            for each in recv_req.batch:
                self._request_dispatcher(each)
        elif isinstance(recv_req, TokenizedGenerateReqInput):
            self.handle_generate_request(recv_req)
        elif isinstance(recv_req, TokenizedEmbeddingReqInput):
            self.handle_embedding_request(recv_req)

    def process_input_requests(self, recv_reqs):
        for recv_req in recv_reqs:
            if getattr(recv_req, "rid", "").startswith("refused"):
                continue
            self._request_dispatcher(recv_req)

    def init_req_max_new_tokens(self, req):
        req.prepared = True
@METHODS@
    def handle_generate_request(
        self,
        recv_req: TokenizedGenerateReqInput,
    ):
        req = Req(recv_req.rid)

        # Handle multimodal inputs
        if recv_req.mm_inputs is not None:
            image_inputs = @MAKER@(recv_req.mm_inputs)
            req.inputs = image_inputs

        self.init_req_max_new_tokens(req)
        self._add_request_to_queue(req)

    def handle_embedding_request(
        self,
        recv_req: TokenizedEmbeddingReqInput,
    ):
        req = Req(recv_req.rid)

        # Handle multimodal inputs
        if recv_req.image_inputs is not None:
            image_inputs = @MAKER@(recv_req.image_inputs)
            req.inputs = image_inputs
        self._add_request_to_queue(req)

    def _add_request_to_queue(self, req):
        self.queue.append(req)
"""

TOKENIZER = """
import asyncio

import fastapi

from sglang.srt.managers.io_struct import (
    BatchTokenizedReqInput,
    TokenizedEmbeddingReqInput,
    TokenizedGenerateReqInput,
)
from sglang.srt.server_args import ServerArgs


class TokenizerManager:
    def __init__(self, server_args, send_to_scheduler):
        self.server_args = server_args
        self.send_to_scheduler = send_to_scheduler

    async def _tokenize_one_request(self, obj):
        mm_inputs = obj.processed()
        input_ids = [1]
        self._validate_one_request(obj, input_ids)
        return self._create_tokenized_object(obj, mm_inputs)

    def _validate_one_request(self, obj, input_ids):
        pass

    def _create_tokenized_object(self, obj, mm_inputs):
        kind = TokenizedEmbeddingReqInput if obj.embeds else TokenizedGenerateReqInput
        return kind(obj.rid, mm_inputs)

    def _send_one_request(self, tokenized_obj):
        self.send_to_scheduler.send_pyobj(tokenized_obj)

    def _send_batch_request(self, tokenized_objs):
        batch_req = BatchTokenizedReqInput(tokenized_objs)
        self.send_to_scheduler.send_pyobj(batch_req)
"""

FASTAPI = """
class HTTPException(Exception):
    def __init__(self, status_code, detail):
        super().__init__(detail)
        self.status_code = status_code
"""

SERVER_ARGS = """
import dataclasses


@dataclasses.dataclass
class ServerArgs:
    # Ranks
    enable_dp_attention: bool = False
    nnodes: int = 1
@FIELD@

    @staticmethod
    def add_cli_args(parser):
        parser.add_argument("--nnodes", type=int, default=ServerArgs.nnodes)
@ARGUMENT@
"""

ARGUMENT = """
parser.add_argument(
    "--enable-broadcast-mm-inputs-process",
    action="store_true",
    default=ServerArgs.enable_broadcast_mm_inputs_process,
)
"""

PROCESSOR = "SGL_USE_CUDA_IPC = bool(0)\n"
FORMS = {
    "without": "MultimodalInputs.from_dict",
    "always": "self._process_and_broadcast_mm_inputs",
    "option": "self._get_multimodal_inputs",
}


def write(folder, form="option"):
    """A repository. form: the tree without the commit, with it always, or with it behind its option."""
    with_commit, with_option = form != "without", form == "option"
    scheduler = SCHEDULER.replace("@MAKER@", FORMS[form])
    scheduler = scheduler.replace("@NOTES@", indented(GROUP_NOTES, 8) if with_commit else "")
    scheduler = scheduler.replace("@METHODS@", indented(COMMIT * with_commit + CHOICE * with_option, 4))
    arguments = SERVER_ARGS.replace("@FIELD@", "    enable_broadcast_mm_inputs_process: bool = False" * with_option)
    arguments = arguments.replace("@ARGUMENT@", indented(ARGUMENT, 8) if with_option else "")
    files = {
        "torch/__init__.py": TORCH,
        "torch/distributed.py": DISTRIBUTED,
        "fastapi.py": FASTAPI,
        "sglang/__init__.py": "",
        "sglang/version.py": '__version__ = "0.5.5"\n',
        "sglang/srt/__init__.py": "",
        "sglang/srt/server_args.py": arguments,
        "sglang/srt/managers/__init__.py": "",
        "sglang/srt/managers/mm_utils.py": MM_UTILS,
        "sglang/srt/managers/schedule_batch.py": SCHEDULE_BATCH,
        "sglang/srt/managers/io_struct.py": IO_STRUCT,
        "sglang/srt/managers/scheduler.py": scheduler,
        "sglang/srt/managers/tokenizer_manager.py": TOKENIZER,
        "sglang/srt/multimodal/__init__.py": "",
        "sglang/srt/multimodal/processors/__init__.py": "",
        "sglang/srt/multimodal/processors/base_processor.py": PROCESSOR,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip("\n"))
    git(folder, "init", "--quiet")
    return folder


def git(folder, *args, text=""):
    done = subprocess.run(["git", *args], cwd=folder, input=text.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def run(folder, ranks=2):
    """What the server there makes of one receive batch, in a process that has no mmload."""
    alone = f"import runpy, sys; sys.modules['mmload'] = None; sys.path.insert(0, '.'); runpy.run_path({str(RUN)!r})"
    command = [sys.executable, "-B", "-c", alone, str(ranks)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def indented(text, depth):
    return textwrap.indent(text.rstrip("\n"), " " * depth) + "\n"
