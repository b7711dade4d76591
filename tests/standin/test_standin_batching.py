import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.standin.batching import Batcher, Sequence
from mmload.standin.config import load_config
from mmload.standin.messages import GenerateRequest, Segment

DEVICE = msgspec.structs.replace(
    load_config().device, max_running_requests=4, max_prefill_tokens=100, max_total_tokens=200
)


def sequence(rid, prompt_tokens=10, max_new_tokens=3):
    segments = [Segment(prompt_tokens, b"words")]
    request = GenerateRequest(str(rid), b"prompt", segments, prompt_tokens, max_new_tokens)
    return Sequence(request, inputs=None, error=None, queued_ns=0)


def rids(batch):
    return [member.request.rid for member in batch.members]


def test_an_idle_batcher_has_no_batch():
    batcher = Batcher(DEVICE)
    assert not batcher.busy
    assert batcher.next_batch() is None


def test_while_new_requests_come_in_without_end_what_runs_goes_on_every_other_step():
    batcher = Batcher(DEVICE)
    batches = []
    for rid in "abcd":
        batcher.add(sequence(rid))
        batch = batcher.next_batch()
        batcher.advance(batch)
        batches.append((batch.prefill, rids(batch)))
    assert batches == [(True, ["a"]), (False, ["a"]), (True, ["b", "c"]), (False, ["a", "b", "c"])]


def test_a_prefill_that_leaves_nothing_running_is_followed_by_the_next():
    batcher = Batcher(DEVICE)
    for rid in "ab":
        batcher.add(sequence(rid, max_new_tokens=1))
        batch = batcher.next_batch()
        batcher.advance(batch)
        assert (batch.prefill, rids(batch)) == (True, [rid])


def test_a_request_longer_than_a_prefill_step_goes_alone():
    batcher = Batcher(DEVICE)
    for rid, tokens in (("long", 150), ("short", 10)):
        batcher.add(sequence(rid, tokens))
    assert rids(batcher.next_batch()) == ["long"]


def test_a_request_that_would_not_fit_beside_the_others_waits():
    batcher = Batcher(DEVICE)
    batcher.add(sequence("a", 90, 60))
    assert rids(batcher.next_batch()) == ["a"]
    batcher.add(sequence("b", 40, 20))
    assert rids(batcher.next_batch()) == ["a"]
    batcher.remove("a")
    assert rids(batcher.next_batch()) == ["b"]


@pytest.mark.parametrize("admitted", [True, False])
def test_a_removed_request_runs_no_more(admitted):
    batcher = Batcher(DEVICE)
    batcher.add(sequence("a"))
    if admitted:
        batcher.next_batch()
    assert batcher.remove("a")
    assert not batcher.remove("a")
    assert not batcher.busy
    assert batcher.used_tokens == 0


@given(st.lists(st.tuples(st.integers(1, 120), st.integers(1, 6)), max_size=30), st.randoms(use_true_random=False))
def test_every_request_gets_all_its_tokens_within_the_limits_and_in_order_of_arrival(asked, random):
    batcher = Batcher(DEVICE)
    pending = [sequence(index, *each) for index, each in enumerate(asked)]
    everyone = list(pending)
    started = []
    while pending or batcher.busy:
        while pending and random.random() < 0.5:
            batcher.add(pending.pop(0))
        batch = batcher.next_batch()
        if batch is None:
            continue
        assert len(batcher.running) <= DEVICE.max_running_requests
        assert batcher.used_tokens <= DEVICE.max_total_tokens or len(batcher.running) == 1
        if batch.prefill:
            started += rids(batch)
            prompt_tokens = sum(member.request.prompt_tokens for member in batch.members)
            assert prompt_tokens <= DEVICE.max_prefill_tokens or len(batch.members) == 1
        batcher.advance(batch)
    assert started == [each.request.rid for each in everyone]
    assert [each.emitted for each in everyone] == [tokens for _, tokens in asked]
    assert batcher.used_tokens == 0


def test_the_device_takes_longer_for_more():
    device = load_config().device
    assert device.prefill_ns(0) == int(device.prefill_ms * 1e6)
    assert device.prefill_ns(1000) - device.prefill_ns(0) == int(device.prefill_ms_per_1000_tokens * 1e6)
    assert device.decode_ns(10) > device.decode_ns(1)
