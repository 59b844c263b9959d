"""The access log: batches, no line lost to an ordinary stop, and a bad disk that hurts nobody."""

import os
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from scalability.telemetry import access_log
from scalability.telemetry.access_log import AccessLog


async def started(file: Path, *, interval_s: float = 60.0) -> AccessLog:
    from twisted.internet import reactor

    log = AccessLog(reactor, file, who="scalelab-test", interval_s=interval_s)
    log.privilegedStartService()
    log.startService()
    return log


async def test_lines_are_in_the_file_in_order_when_it_has_stopped(tmp_path: Path) -> None:
    log = await started(tmp_path / "access.log")
    for i in range(100):
        log.write(b"%d\n" % i)
    assert (tmp_path / "access.log").read_bytes() == b"", "nothing is written before the batch's time"
    await log.stopService()
    assert (tmp_path / "access.log").read_text().split() == [str(i) for i in range(100)]
    assert (log.written, log.lost) == (100, 0)


async def test_lines_are_written_after_the_interval(tmp_path: Path) -> None:
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    log = await started(tmp_path / "access.log", interval_s=0.01)
    log.write(b"x\n")
    while not log.written:
        await deferLater(reactor, 0.01)
    assert (tmp_path / "access.log").read_bytes() == b"x\n"
    await log.stopService()


async def test_a_full_batch_is_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "BATCH_BYTES", 10)
    log = await started(tmp_path / "access.log")
    log.write(b"123456789\n")
    log.write(b"second\n")
    await log.flush()
    assert (tmp_path / "access.log").read_bytes() == b"123456789\nsecond\n"
    await log.stopService()


async def test_an_existing_file_is_appended_to(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_text("before\n")
    log = await started(file)
    log.write(b"after\n")
    await log.stopService()
    assert file.read_text() == "before\nafter\n"


async def test_a_file_that_was_rotated_away_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    log = await started(file)
    log.write(b"one\n")
    await log.flush()
    file.rename(tmp_path / "access.log.1")
    log.write(b"two\n")
    await log.stopService()
    assert ((tmp_path / "access.log.1").read_text(), file.read_text()) == ("one\n", "two\n")


async def test_a_disk_that_fails_costs_lines_that_are_counted_until_it_works_again(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    file = folder / "access.log"
    log = await started(file)
    file.unlink()
    folder.rmdir()
    log.write(b"lost\n")
    log.write(b"lost\n")
    await log.flush()
    assert (log.written, log.lost) == (0, 2)
    folder.mkdir()
    log.write(b"kept\n")
    await log.stopService()
    assert (log.written, log.lost) == (1, 2)
    assert file.read_text() == "kept\n"


async def test_a_line_that_a_full_disk_cut_ends_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "access.log"
    log = await started(file)
    write = os.write
    calls = []

    def full(descriptor: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) == 1:
            return write(descriptor, data[:3])
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    log.write(b"cut off\n")
    await log.flush()
    log.write(b"whole\n")
    await log.flush()
    monkeypatch.undo()
    await log.stopService()
    assert file.read_text() == "cut\nwhole\n"


async def test_what_cannot_be_kept_is_counted_as_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "LIMIT_BYTES", 4)
    log = await started(tmp_path / "access.log")
    for _ in range(5):
        log.write(b"12\n")
    await log.stopService()
    assert (log.written, log.lost) == (2, 3)


async def test_a_file_that_cannot_be_opened_ends_the_process_with_one_line(tmp_path: Path) -> None:
    from twisted.internet import reactor

    log = AccessLog(reactor, tmp_path / "none" / "access.log", who="scalelab-test")
    with pytest.raises(SystemExit, match=r"scalelab-test: cannot write the access log .*: No such file"):
        log.privilegedStartService()


async def test_stopping_twice_or_before_starting_is_harmless(tmp_path: Path) -> None:
    from twisted.internet import reactor

    log = AccessLog(reactor, tmp_path / "access.log", who="scalelab-test")
    await log.stopService()
    log.startService()
    await log.stopService()
    stopped: Deferred[None] = log.stopService()
    await stopped
