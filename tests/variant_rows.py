"""What the card of each variant says, as counters can prove it in any host."""

import concurrent.futures
import random
import time

from served import PATIENCE_S, counters, picture

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


def answers_to(server, questions):
    """name -> answer, asked one after another. questions: name -> chat body."""
    answers = {}
    for name, body in questions.items():
        status, reply = server.post("/v1/chat/completions", body)
        assert status == 200, reply
        answers[name] = reply["choices"][0]["message"]["content"]
    return answers


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


def check_row(grown, variant, tp, requests, seen_before):
    """That the work for so many requests with media, one after another, is the card's. seen_before: how many of their
    features had come before."""
    ranks, nothing = [requests] * tp, [0] * (1 + tp)
    assert grown("requests") == [requests, *ranks]
    assert grown("receive_batches") == [0, *ranks]
    assert grown("objects_built") == built(variant, tp, requests)
    sends = tp > 1 and variant in PER_REQUEST | PER_BATCH
    assert grown("broadcasts") == ([0, *ranks] if sends else nothing)
    assert grown("background_broadcasts") == ([0, *ranks] if sends and variant in BACKGROUND else nothing)
    assert grown("fallbacks") == grown("cache_evictions") == nothing
    assert grown("feature_hits") == ([0, *[seen_before] * tp] if sends and variant == "delta" else nothing)
    assert grown("shm_segments") == ([requests, *[0] * tp] if variant == "shm" else nothing)
    assert sum(grown("shm_unlinked")) == sum(grown("shm_segments"))
    if variant == "shm":  # a feature has some 200 kB
        assert grown("broadcast_bytes")[1] < 20_000 * requests


def check_backlogs(server, variant, tp):
    """That requests which come together are sent together where the card says so."""
    grown = Grown(server)
    for attempt in range(20):
        backlog(server, range(100 * attempt, 100 * attempt + 8))
        requests, batches = grown("requests")[1], grown("receive_batches")[1]
        if grown("broadcasts")[1] if variant == "dynamic-batch" and tp > 1 else batches < requests:
            break
    assert batches < requests
    broadcasts = grown("broadcasts")
    assert broadcasts == [0, *broadcasts[1:2] * tp]
    if tp == 1:
        assert broadcasts[1] == 0
    elif variant == "dynamic-batch":
        assert grown("cache_hits")[1] >= 5 * broadcasts[1] > 0
        assert grown("objects_built")[1] == requests
        assert grown("objects_built")[2] == requests - grown("cache_hits")[2]
    else:
        assert broadcasts[1] == (requests if variant in PER_REQUEST else batches if variant in PER_BATCH else 0)
    assert grown("fallbacks") == [0] * (1 + tp)


def backlog(server, seeds):
    """The answers for pictures that the entry rank finds all at once, by seed."""
    entry = server.ranks[0]
    prepared = Grown(server)
    with concurrent.futures.ThreadPoolExecutor(len(seeds)) as pool:
        entry.suspend()
        try:
            asked = {seed: pool.submit(server.answer, picture(seed)) for seed in seeds}
            eventually(lambda: prepared("requests")[0] == len(seeds))
        finally:
            entry.resume()
        return {seed: each.result(PATIENCE_S) for seed, each in asked.items()}


def eventually(condition):
    """Wait for something that must come about; the test hangs no longer than its patience."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "it never came about"
        time.sleep(0.005)


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
