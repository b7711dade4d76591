import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standin_ranks import PATIENCE_S, group, on_all

from mmload.standin.collective import OutOfStep, PeerLost, parent_of


@pytest.fixture
def pair():
    ranks = group(2)
    yield ranks
    for rank in ranks:
        rank.close()


@given(st.integers(1, 300))
def test_the_parent_of_a_rank_lacks_its_highest_bit(rank):
    parent = parent_of(rank)
    assert parent < rank
    assert (rank ^ parent).bit_count() == 1
    assert parent < rank ^ parent


@settings(max_examples=10, deadline=None)
@given(size=st.integers(1, 8), data=st.binary(max_size=5000))
def test_a_broadcast_brings_the_entry_ranks_bytes_to_every_rank(size, data):
    ranks = group(size)

    def take_part(rank):
        length = rank.broadcast_size(b"x", len(data) if rank.rank == 0 else 0)
        buffer = bytearray(data if rank.rank == 0 else length)
        rank.broadcast(b"x", buffer)
        rank.close()
        return bytes(buffer)

    assert on_all(ranks, take_part) == [data] * size


def test_megabytes_pass_through_every_level_of_the_tree():
    data = bytes(range(256)) * 20_000
    ranks = group(8)

    def take_part(rank):
        buffer = data if rank.rank == 0 else bytearray(len(data))
        rank.broadcast(b"x", buffer)
        rank.close()
        return buffer

    assert all(received == data for received in on_all(ranks, take_part))


@settings(max_examples=10, deadline=None)
@given(st.lists(st.binary(max_size=50), min_size=1, max_size=9))
def test_a_gather_brings_every_ranks_part_to_the_entry_rank(parts):
    ranks = group(len(parts))

    def take_part(rank):
        gathered = rank.gather(parts[rank.rank])
        rank.close()
        return gathered

    gathered, *others = on_all(ranks, take_part)
    assert sorted(gathered) == sorted(parts)
    assert others == [None] * (len(parts) - 1)


def test_broadcasts_arrive_in_the_order_in_which_they_were_sent(pair):
    sizes = [5, 0, 7, 2**40, 1]
    received = on_all(pair, lambda rank: [rank.broadcast_size(b"x", size) for size in sizes])
    assert received == [sizes, sizes]


def test_a_sender_waits_for_its_receiver_even_where_the_kernel_would_take_the_bytes(pair):
    entry, other = pair
    outcome = []

    def send():
        try:
            entry.broadcast(b"x", b"few bytes")
        except PeerLost as error:
            outcome.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    other.close()  # it never came to the broadcast
    thread.join(PATIENCE_S)
    assert len(outcome) == 1


def test_a_rank_that_waits_for_one_that_ends_is_told_so():
    entry, other = group(2)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(other.broadcast_size, b"x")
        entry.close()
        with pytest.raises(PeerLost, match="rank 1: rank 0 is gone"):
            waiting.result(PATIENCE_S)


def test_a_collective_that_is_shut_down_wakes_its_own_thread_and_its_peers():
    entry, other, third = group(3)
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(rank.broadcast_size, b"x") for rank in (other, third)]
        other.shut_down()
        with pytest.raises(PeerLost):
            waiting[0].result(PATIENCE_S)
        with pytest.raises(PeerLost, match="rank 1 is gone"):
            entry.broadcast_size(b"x", 1)
        entry.shut_down()
        with pytest.raises(PeerLost):
            waiting[1].result(PATIENCE_S)
        entry.close()
        entry.shut_down()  # of a closed one there is nothing left to end


def test_the_entry_rank_names_the_rank_that_is_gone():
    ranks = group(3)
    ranks[2].close()
    with ThreadPoolExecutor() as pool:
        pool.submit(ranks[1].broadcast_size, b"x")
        with pytest.raises(PeerLost, match="rank 0: rank 2 is gone"):
            ranks[0].broadcast_size(b"x", 1)


def test_ranks_in_different_operations_fail_instead_of_mixing_their_bytes(pair):
    entry, other = pair
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(other.broadcast_size, b"a")
        with pytest.raises(OutOfStep):
            entry.broadcast_size(b"b", 1)
        entry.close()
        with pytest.raises(PeerLost):
            waiting.result(PATIENCE_S)


def test_a_gather_that_meets_a_broadcast_fails(pair):
    entry, other = pair
    with ThreadPoolExecutor() as pool:
        pool.submit(other.gather, b"part")
        with pytest.raises(OutOfStep):
            entry.broadcast_size(b"x", 1)
