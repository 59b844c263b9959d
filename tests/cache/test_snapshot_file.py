"""A snapshot's file."""

import os
import stat
from itertools import chain
from math import inf
from pathlib import Path

import pytest

from scalability.cache.snapshot_file import InUse, SnapshotWriter, lock, read, set_aside
from scalability.cache.snapshot_format import BLOCK_BYTES, Record, SnapshotDamaged, header

A, B = Record(b"a", b"1", inf), Record(b"b", b"\xff" * 100, 2e9)


def begun(path: Path) -> SnapshotWriter:
    writer = SnapshotWriter(path, 1.0)
    writer.open()
    return writer


def write(path: Path, *records: Record) -> int:
    writer = begun(path)
    writer.add(records)
    return writer.commit()


def everything(path: Path) -> list[Record]:
    return [record for group in read(path) for record in group]


def test_what_was_committed_is_read_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "s"
    assert write(file, A, B) == file.stat().st_size
    assert everything(file) == [A, B]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["s"]


def test_an_empty_cache_has_a_snapshot_too(tmp_path: Path) -> None:
    write(tmp_path / "s")
    assert everything(tmp_path / "s") == []


def test_many_records_become_many_blocks(tmp_path: Path) -> None:
    records = [Record(b"%d" % number, b"v" * 1000, inf) for number in range(1000)]
    write(tmp_path / "s", *records)
    groups = list(read(tmp_path / "s"))
    assert len(groups) == 1000 * 1020 // BLOCK_BYTES + 1
    assert list(chain(*groups)) == records


def test_until_it_is_committed_the_one_before_stays(tmp_path: Path) -> None:
    file = tmp_path / "s"
    write(file, A)
    writer = begun(file)
    writer.add([B])
    assert everything(file) == [A]
    writer.abandon()
    writer.abandon()
    assert (everything(file), os.listdir(tmp_path)) == ([A], ["s"])


def test_one_that_was_never_opened_is_abandoned_without_a_trace(tmp_path: Path) -> None:
    SnapshotWriter(tmp_path / "s", 1.0).abandon()
    assert os.listdir(tmp_path) == []


def test_what_a_process_that_was_killed_left_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "s"
    (tmp_path / "s.tmp").write_bytes(b"x" * 10_000)
    write(file, A)
    assert (everything(file), os.listdir(tmp_path)) == ([A], ["s"])


def test_abandoning_after_the_commit_changes_nothing(tmp_path: Path) -> None:
    writer = begun(tmp_path / "s")
    writer.commit()
    writer.abandon()
    assert everything(tmp_path / "s") == []


def test_a_full_disk_leaves_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "s"
    write(file, A)
    os.symlink("/dev/full", tmp_path / "t.tmp")
    with pytest.raises(OSError, match="symbolic link"):
        begun(tmp_path / "t")
    writer = begun(file)
    full = os.open("/dev/full", os.O_WRONLY)
    assert writer._file is not None
    os.dup2(full, writer._file.fileno())
    os.close(full)
    with pytest.raises(OSError, match="No space left"):
        writer.add([B])
    writer.abandon()
    assert everything(file) == [A]


def test_no_room_is_made_for_a_length_that_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "s"
    file.write_bytes(header(0.0) + b"\xff\xff\xff\xff" + b"\1\0\0\0" + b"\0\0\0\0" + b"abc")
    with pytest.raises(SnapshotDamaged, match="cut off"):
        everything(file)


def test_none_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        everything(tmp_path / "s")


def test_what_is_set_aside_is_kept_under_names_of_its_own(tmp_path: Path) -> None:
    names = []
    for text in ("1", "2", "3"):
        (tmp_path / "s").write_text(text)
        names.append(set_aside(tmp_path / "s", 1_700_000_000.0))
    assert [name.name for name in names] == ["s.bad-20231114T221320Z", "s.bad-20231114T221320Z-2", "s.bad-20231114T221320Z-3"]
    assert [name.read_text() for name in names] == ["1", "2", "3"]


def test_a_file_belongs_to_one_process(tmp_path: Path) -> None:
    held = lock(tmp_path / "s")
    with pytest.raises(InUse, match=rf"is in use by process {os.getpid()}; each server needs a file of its own"):
        lock(tmp_path / "s")
    os.close(held)
    os.close(lock(tmp_path / "s"))
