import threading

import numpy as np
import pytest
from standin_ranks import PATIENCE_S, group, on_all

from mmload.analyse.phases import Judge
from mmload.handoff.async_broadcast import AsyncBroadcast
from mmload.handoff.background import BackgroundBroadcast, Worker, wait_for_broadcast
from mmload.handoff.combined import Combined
from mmload.handoff.counters import Counters
from mmload.handoff.segments import Segments, map_segment
from mmload.handoff.strategy import BuildFailed
from mmload.plan.phases import rules_for
from mmload.standin import pickles
from mmload.standin.collective import PeerLost
from mmload.standin.host import RankHost, TokenizerHost


@pytest.fixture
def hosts():
    first, second = group(2), group(2)
    yield [RankHost(rank, 2, first[rank], second[rank], Counters()) for rank in range(2)]
    for each in (*first, *second):
        each.close()


def test_an_object_that_cannot_be_pickled_reaches_every_rank_as_a_failure(hosts):
    obj = {"inputs": lambda: None}
    outcomes = on_all(hosts, lambda host: host.broadcast_object(obj if host.is_entry else None))
    assert [type(each) for each in outcomes] == [BuildFailed] * 2
    assert str(outcomes[0]) == str(outcomes[1]) != ""
    assert on_all(hosts, lambda host: host.broadcast_object("next" if host.is_entry else None)) == ["next"] * 2


def test_the_two_channels_of_a_host_do_not_meet(hosts):
    """Broadcasts of both, issued in opposite orders on the two ranks."""
    channels = [host.open_channel() for host in hosts]

    def in_background(rank):
        results[rank] = [channels[rank].broadcast_object(f"b{n}" if rank == 0 else None) for n in range(50)]

    results = {}
    threads = [threading.Thread(target=in_background, args=[rank]) for rank in range(2)]
    threads[0].start()
    on_main = on_all(hosts, lambda host: [host.broadcast_object(f"m{n}" if host.is_entry else None) for n in range(50)])
    threads[1].start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert on_main == [[f"m{n}" for n in range(50)]] * 2
    assert list(results.values()) == [[f"b{n}" for n in range(50)]] * 2
    assert [host.counters["broadcasts"] for host in hosts] == [100, 100]


def test_there_is_one_channel_for_the_background(hosts):
    hosts[0].open_channel()
    with pytest.raises(RuntimeError, match="it is open"):
        hosts[0].open_channel()


def test_a_rank_that_opens_no_second_channel_keeps_nobody_waiting(hosts):
    channel = hosts[0].open_channel()
    for host in hosts:
        host.strategy_is_made()
    with pytest.raises(PeerLost):
        on_all([channel], lambda each: each.broadcast_object("anything"))
    assert on_all(hosts, lambda host: host.broadcast_object("first" if host.is_entry else None)) == ["first"] * 2


def test_the_tokenizer_broadcasts_nothing():
    for act in (TokenizerHost(Counters()).open_channel, lambda: TokenizerHost(Counters()).broadcast_object(1)):
        with pytest.raises(RuntimeError, match="takes part in no broadcast"):
            act()


def test_a_dump_holds_no_byte_of_an_array_and_copies_none():
    host = TokenizerHost(Counters())
    array = np.arange(1000, dtype=np.float32)
    head, (buffer,) = host.dump({"feature": array, "hash": 7})
    assert len(head) < 300
    array[0] = 5
    assert np.frombuffer(buffer, np.float32)[0] == 5
    loaded = host.load(head, [memoryview(bytes(buffer))])
    assert loaded["hash"] == 7
    assert loaded["feature"].tolist() == array.tolist()
    assert not loaded["feature"].flags.writeable


@pytest.mark.parametrize(
    ("phase", "function"),
    [
        ("broadcast", wait_for_broadcast),
        ("broadcast", Segments.write_segment),
        ("broadcast", map_segment),
        ("broadcast", BackgroundBroadcast._take_part),
        ("broadcast", Combined._build),
        ("broadcast", Worker.give),
        ("idle-poll", Worker.wait_for_job),
        ("materialise", AsyncBroadcast.materialise),
        ("pickle", pickles.pickle_apart),
        ("pickle", pickles.unpickle_joined),
    ],
)
def test_a_profiler_knows_what_a_variant_does_by_its_functions(phase, function):
    code = function.__code__
    place = f"{function.__qualname__} ({code.co_filename}:{code.co_firstlineno})"
    for stack in (f"event_loop (mmload/standin/rank.py:1);{place}", f"Thread.run (threading.py:1);{place}"):
        assert Judge(rules_for("standin"), {}).phase(stack) == phase
