import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.errors import FolderError
from mmload.plan.pool import Body, PoolReader, PoolWriter

READ_IN_A_FRESH_PROCESS = """
import sys
from pathlib import Path
from mmload.plan.pool import PoolReader
reader = PoolReader(Path(sys.argv[1]))
total = sum(body[0] for body in map(reader.body, map(reader.slot, range(200))))
private_kb = sum(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("Private"))
print(total, private_kb, *(name for name in ("PIL", "av", "numpy") if name in sys.modules))
"""


def write(folder, identity, load):
    with PoolWriter(folder) as writer:
        for number, body in enumerate([*identity, *load]):
            writer.add(f"item-{number}", Body("text", body), digested=True)
        return writer.seal(len(identity), wanted=len(load))


@given(
    identity=st.lists(st.binary(max_size=50), max_size=4),
    load=st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=9),
)
def test_a_pool_gives_back_every_body_under_its_id(tmp_path_factory, identity, load):
    folder = tmp_path_factory.mktemp("pool")
    pool = write(folder, identity, load)
    reader = PoolReader(folder)
    assert [bytes(reader.body(slot)) for slot in reader.identity_slots] == identity
    for number in range(3 * len(load)):
        slot = reader.slot(number)
        assert bytes(reader.body(slot)) == load[number % len(load)]
        assert reader.item_id(slot) == f"item-{len(identity) + number % len(load)}"
    assert pool.body_bytes == sum(map(len, identity + load))


def test_a_reader_holds_no_copies_and_needs_no_image_or_video_library(tmp_path):
    write(tmp_path, [], [bytes([1]) * 1_000_000] * 200)
    result = subprocess.run(
        [sys.executable, "-c", READ_IN_A_FRESH_PROCESS, str(tmp_path)], capture_output=True, text=True, check=True
    )
    total, private_kb, *imported = result.stdout.split()
    assert int(total) == 200
    assert int(private_kb) < 50_000
    assert imported == []


def test_an_absent_cut_or_damaged_pool_is_named(tmp_path):
    with pytest.raises(FolderError, match="cannot read the payload pool"):
        PoolReader(tmp_path / "absent")
    write(tmp_path, [], [b"one", b"two"])
    (tmp_path / "bodies.bin").write_bytes(b"onet")
    with pytest.raises(FolderError, match="cut short"):
        PoolReader(tmp_path)
    (tmp_path / "index.json").write_bytes(b"{")
    with pytest.raises(FolderError, match="cannot read the payload pool"):
        PoolReader(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FolderError, match="cannot write the payload pool"):
        PoolWriter(tmp_path / "file" / "pool")
