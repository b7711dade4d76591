"""What a command writes: a page that was good stays good until a better one is whole."""

from pathlib import Path

import pytest

from mmload.commands.documents import write_text
from mmload.errors import FolderError


def test_a_file_is_there_whole_and_nothing_beside_it(tmp_path):
    file = tmp_path / "page.html"
    for text in ("one", "two"):
        write_text(file, text)
        assert file.read_text() == text
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_file_and_no_part_of_the_new(tmp_path):
    file = tmp_path / "page.html"
    file.write_text("good")
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "bad \udc80")
    assert file.read_text() == "good"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_keeps_its_rights_and_a_link_stays_one(tmp_path):
    file, link = tmp_path / "page.html", tmp_path / "link.html"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    write_text(file, "new")
    write_text(link, "newer")
    assert (file.stat().st_mode & 0o777, link.is_symlink(), file.read_text()) == (0o640, True, "newer")


def test_a_device_is_written_and_not_replaced():
    write_text(Path("/dev/null"), "x")
    with pytest.raises(FolderError, match="No space left"):
        write_text(Path("/dev/full"), "x")


def test_a_text_can_be_appended(tmp_path):
    file = tmp_path / "summary.md"
    write_text(file, "a")
    write_text(file, "b", mode="a")
    assert file.read_text() == "ab"
