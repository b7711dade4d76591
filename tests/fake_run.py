"""Runs the fake SGLang of the current folder: python fake_run.py RANKS, in a process that has no mmload.

One receive batch: two images, one whose features are malformed, one that is refused before its inputs are made, one
without media, an embedding, two in one message. Prints what the tokenizer refused, what each rank made of each, and how
often all ranks together built.
"""

import asyncio
import json
import pickle
import sys
import threading
import types

import numpy as np
import torch.distributed as dist
from sglang.srt.managers.schedule_batch import Item, built
from sglang.srt.managers.scheduler import Scheduler
from sglang.srt.managers.tokenizer_manager import TokenizerManager
from sglang.srt.server_args import ServerArgs

RANKS = range(int(sys.argv[1]))


class Asked:
    def __init__(self, rid, feature=None, embeds=False):
        self.rid, self.feature, self.embeds = rid, feature, embeds

    def processed(self):
        if self.feature is None:
            return None
        return {"mm_items": [Item(self.feature)]} if len(self.feature) else {}


class Socket:
    def __init__(self):
        self.sent = []

    def send_pyobj(self, obj):
        self.sent.append(pickle.dumps(obj))


def tokenized():
    """The messages as they leave, and the requests that the tokenizer refused."""
    socket, refused = Socket(), {}
    manager = TokenizerManager(ServerArgs(), socket)
    image = np.arange(8192, dtype=np.uint8)
    for asked in (
        Asked("one", image),
        Asked("malformed", image[:0]),
        Asked("refused", image + 9),
        Asked("text"),
        Asked("embedding", image + 2, embeds=True),
    ):
        try:
            manager._send_one_request(asyncio.run(manager._tokenize_one_request(asked)))
        except ValueError as error:
            refused[asked.rid] = str(error)
    both = [asyncio.run(manager._tokenize_one_request(Asked(rid, image + n))) for n, rid in ((3, "three"), (1, "two"))]
    manager._send_batch_request(both)
    return socket.sent, refused


def rank(number, group, messages, results):
    kind = types.SimpleNamespace(
        rank=number, rank_in_group=number, world_size=len(RANKS), ranks=list(RANKS), cpu_group=group
    )
    scheduler = Scheduler(ServerArgs(), kind)
    scheduler.process_input_requests([pickle.loads(message) for message in messages])
    made = {}
    for req in scheduler.queue:
        made[req.rid] = req.error or (req.inputs and [item.hash for item in req.inputs.mm_items])
        if req.inputs:
            assert req.inputs.mm_items[0].feature.nbytes == 8192
    results[number] = made


messages, refused = tokenized()
built_before = len(built)
results, group = {}, dist.Group(list(RANKS))
threads = [threading.Thread(target=rank, args=(n, group, messages, results)) for n in RANKS]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(30)
print(
    json.dumps(
        {
            "refused": refused,
            "bytes": max(map(len, messages)),
            "built": len(built) - built_before,
            "ranks": [results[n] for n in RANKS],
        }
    )
)
