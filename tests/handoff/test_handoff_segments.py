import errno
import gc
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranks_in_threads import Group, truth

from mmload.errors import ServerError
from mmload.handoff import segments as module
from mmload.handoff.counters import Counters
from mmload.handoff.segments import Segments, map_segment, pid_namespace, start_ticks, sweep
from mmload.handoff.shm import Shm
from mmload.handoff.strategy import HandoffFailed


@pytest.fixture
def made(tmp_path):
    return Segments(Counters(), tmp_path)


@given(buffers=st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_every_rank_reads_what_the_owner_wrote(tmp_path_factory, buffers):
    folder = tmp_path_factory.mktemp("segments")
    segment = Segments(Counters(), folder).write_segment([memoryview(each) for each in buffers])
    for _ in range(3):
        assert [bytes(each) for each in map_segment(segment, 3, Counters())] == buffers
    assert list(folder.iterdir()) == []


def test_buffers_lie_at_multiples_of_a_cache_line(made):
    segment = made.write_segment([memoryview(b"x" * 5), memoryview(b"y" * 70), memoryview(b"")])
    assert segment.spans == ((64, 5), (128, 70), (256, 0))


def test_the_last_rank_unlinks_and_no_other(made, tmp_path):
    segment = made.write_segment([memoryview(b"data")])
    counters = [Counters() for _ in range(4)]
    for rank in range(4):
        assert Path(segment.path).exists()
        map_segment(segment, 4, counters[rank])
    assert not Path(segment.path).exists()
    assert [each["shm_unlinked"] for each in counters] == [0, 0, 0, 1]


def test_of_ranks_that_come_at_once_exactly_one_unlinks(made):
    barrier = threading.Barrier(8)

    def rank(segment):
        counters = Counters()
        barrier.wait()
        map_segment(segment, 8, counters)
        return counters["shm_unlinked"]

    with ThreadPoolExecutor(8) as pool:
        for _ in range(50):
            segment = made.write_segment([memoryview(b"data")])
            assert sum(pool.map(rank, [segment] * 8)) == 1


def test_what_is_mapped_is_read_only_and_outlives_its_name(made):
    segment = made.write_segment([memoryview(np.arange(5.0)).cast("B")])
    array = np.frombuffer(map_segment(segment, 1, Counters())[0])
    assert not Path(segment.path).exists()
    assert array.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_the_memory_of_a_segment_goes_with_the_last_array_over_it(made):
    segment = made.write_segment([memoryview(b"x" * 8192)])
    array = np.frombuffer(map_segment(segment, 1, Counters())[0], np.uint8)
    assert segment.path in Path("/proc/self/maps").read_text()
    del array
    gc.collect()
    assert segment.path not in Path("/proc/self/maps").read_text()


def test_a_segment_that_cannot_be_written_whole_leaves_nothing(made, tmp_path, monkeypatch):
    room = 100

    def pwrite(fd, data, offset):
        if offset + len(data) > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(data)

    monkeypatch.setattr(module.os, "pwrite", pwrite)
    made.write_segment([memoryview(b"x" * 36)])
    with pytest.raises(OSError, match="No space left"):
        made.write_segment([memoryview(b"x" * 37)])
    assert len(list(tmp_path.iterdir())) == 1
    assert made._counters["shm_segments"] == 1


def test_a_write_that_stops_half_way_is_gone_on_with(made, monkeypatch):
    pwrite = os.pwrite
    monkeypatch.setattr(module.os, "pwrite", lambda fd, data, offset: pwrite(fd, bytes(data[:3]), offset))
    segment = made.write_segment([memoryview(b"some more than three bytes")])
    monkeypatch.undo()
    assert bytes(map_segment(segment, 1, Counters())[0]) == b"some more than three bytes"


def test_what_is_left_when_its_owner_ends_is_unlinked_and_nobody_elses(made, tmp_path):
    kept = [tmp_path / name for name in ("mmload-1-1-1-0", "other")]
    for path in kept:
        path.touch()
    for _ in range(3):
        made.write_segment([memoryview(b"data")])
    made.unlink_all()
    made.unlink_all()
    assert sorted(tmp_path.iterdir()) == kept
    assert made._counters["shm_unlinked"] == 3


def test_a_sweep_takes_the_segments_of_dead_owners_and_nothing_else(made, tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    here = pid_namespace()
    name = f"mmload-{dead.pid}-{start_ticks(dead.pid)}-{here}-0"
    dead.wait()
    own = Path(made.write_segment([memoryview(b"data")]).path)
    (tmp_path / name).touch()
    (tmp_path / f"mmload-{os.getpid()}-1-{here}-0").touch()  # an earlier process of this number
    kept = [own, tmp_path / "mmload-1-x-1-0", tmp_path / "other-1-1-1-0"]
    for path in kept[1:]:
        path.touch()
    folder = tmp_path / f"mmload-1-1-{here}-7"  # payloads of a run have folders of such names
    folder.mkdir()
    assert sweep(tmp_path) == 2
    assert sorted(tmp_path.iterdir()) == sorted([*kept, folder])


def test_the_segments_of_a_container_that_shares_the_memory_are_swept_when_they_are_old(tmp_path):
    fresh, old = (tmp_path / f"mmload-1-1-{pid_namespace() + 1}-{n}" for n in range(2))
    for path in (fresh, old):
        path.touch()
    os.utime(old, (0, time.time() - 601))
    assert sweep(tmp_path) == 1
    assert list(tmp_path.iterdir()) == [fresh]


def test_a_process_has_start_ticks_until_it_is_gone():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ticks = start_ticks(process.pid)
    assert ticks == int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
    process.communicate()
    assert start_ticks(process.pid) is None


# The variant


def test_no_byte_of_a_feature_is_pickled(tmp_path):
    group = Group(lambda host: Shm(host, tmp_path), 2)
    pickled = group.at_tokenizer([("request", "r", 3)])
    assert truth(3).mm_items[0].feature.tobytes() not in pickled
    assert len(list(tmp_path.iterdir())) == 1
    group.close()
    assert list(tmp_path.iterdir()) == []


def test_a_request_that_does_not_leave_is_withdrawn(tmp_path):
    tokenizer = Group(lambda host: Shm(host, tmp_path), 1).tokenizer
    payload = tokenizer.at_tokenizer({"number": 1, "mm_items": [np.ones(9)]})
    tokenizer.withdraw(payload)
    tokenizer.withdraw(payload)
    assert list(tmp_path.iterdir()) == []
    assert tokenizer.host.counters["shm_unlinked"] == 1


def test_inputs_without_features_need_no_segment(tmp_path):
    group = Group(lambda host: Shm(host, tmp_path), 2)
    group.tokenizer.host.build = lambda raw: {"words": raw["number"]}
    assert group.hand_over(1) == [[{"words": 1}]] * 2
    assert group.counted("shm_segments") == [0, 0, 0]
    group.close()


def test_full_shared_memory_fails_the_request_in_a_sentence(tmp_path, monkeypatch):
    def no_room(fd, data, offset):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    tokenizer = Group(lambda host: Shm(host, tmp_path), 1).tokenizer
    monkeypatch.setattr(module.os, "pwrite", no_room)
    with pytest.raises(HandoffFailed, match=r"no shared memory for 0\.0 MB of features: No space left on device"):
        tokenizer.at_tokenizer({"number": 1, "mm_items": [np.ones(9)]})
    assert list(tmp_path.iterdir()) == []


def test_a_segment_that_is_gone_fails_its_request_alone(tmp_path):
    group = Group(lambda host: Shm(host, tmp_path), 1)
    messages = group.at_tokenizer([("request", "r", 1), ("request", "s", 2)])
    min(tmp_path.iterdir()).unlink()
    group.at_tokenizer = lambda _: messages
    ((gone, there),) = group.play([[]])
    assert "rank 0 can't map the features" in gone
    assert there == truth(2)
    group.close()


def test_a_payload_of_another_variant_fails_its_request_in_a_sentence(tmp_path):
    group = Group(lambda host: Shm(host, tmp_path), 1)
    group.tokenizer.at_tokenizer = lambda raw: raw
    assert group.hand_over(1) == [["the tokenizer sent a dict: it runs another variant"]]


def test_a_system_without_shared_memory_is_said_at_the_start(tmp_path):
    with pytest.raises(ServerError, match=r"needs .*nowhere"):
        Group(lambda host: Shm(host, tmp_path / "nowhere"), 1)
