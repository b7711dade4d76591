"""What the card of each variant says, as counters can prove it in any host."""

import random

from served import counters, picture

ENTRY_RANK = {"commit", "batch-broadcast", "async-broadcast", "async-batch", "delta"}
TOKENIZER = {"optimized", "shm"}
PER_REQUEST = {"commit", "delayed", "async-broadcast", "combined"}
PER_BATCH = {"batch-broadcast", "async-batch", "delta"}
BACKGROUND = {"async-broadcast", "async-batch", "combined"}


def question(*media, text="What is this?"):
    """A chat body. media: (kind, data: URI)."""
    content = [{"type": f"{kind}_url", f"{kind}_url": {"url": uri}} for kind, uri in media]
    content.append({"type": "text", "text": text})
    return {"messages": [{"role": "user", "content": content}], "max_tokens": 8, "temperature": 0}


class Grown:
    """What the counters grew by since it was made: grown("broadcasts") -> [tokenizer, rank 0, rank 1, ..]."""

    def __init__(self, server):
        self.server, self.before = server, server.metrics()

    def __call__(self, name):
        after, before = counters(self.server.metrics(), name), counters(self.before, name)
        return [after[process] - before[process] for process in sorted(after, key=lambda p: (p != "tokenizer", p))]


def built(variant, tp, requests):
    """How many inputs objects are built for so many requests, one after another: [tokenizer, rank 0, rank 1, ..]."""
    if variant in TOKENIZER:
        return [requests, *[0] * tp]
    if variant in ENTRY_RANK and tp > 1:
        return [0, requests, *[0] * (tp - 1)]
    return [0, *[requests] * tp]


def check_row(grown, variant, tp, requests):
    """That the work for so many requests with media, one after another, is the card's."""
    ranks, nothing = [requests] * tp, [0] * (1 + tp)
    assert grown("requests") == [requests, *ranks]
    assert grown("receive_batches") == [0, *ranks]
    assert grown("objects_built") == built(variant, tp, requests)
    sends = tp > 1 and variant in PER_REQUEST | PER_BATCH
    assert grown("broadcasts") == ([0, *ranks] if sends else nothing)
    assert grown("background_broadcasts") == ([0, *ranks] if sends and variant in BACKGROUND else nothing)
    assert grown("fallbacks") == grown("cache_evictions") == nothing


def ask_in_a_storm(server, truth, index):
    """One of many at once: an answer that is read (right or not), one that is left after its first token, or one that
    is not waited for. truth: seed of a picture -> its answer."""
    rng = random.Random(index)
    seed = rng.choice(sorted(truth))
    fate = rng.random()
    if fate < 0.6:
        return server.answer(picture(seed)) == truth[seed]
    body = {"text": "x", "stream": True, "image_data": picture(seed)}
    if fate < 0.8:
        connection, response = server.open("POST", "/generate", body)
        response.readline()
        response.close()
        connection.close()
    else:
        server.send_and_leave("/generate", body)
    return True
