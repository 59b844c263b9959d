"""The entries, kept over a restart; real threads, a clock of the test."""

import os
from collections.abc import Iterator
from math import inf
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from scalability.cache import snapshots
from scalability.cache.snapshot_file import SnapshotWriter, lock, read
from scalability.cache.snapshots import PIECE, Snapshots
from scalability.testing.stores import ThreadedClock
from scalability.ttlcache import TTLCache

START = 1_700_000_000.0
"""By the wall clock, when the reactor's clock is at 5."""


class Kept:
    """A cache and its snapshots."""

    def __init__(self, file: Path, clock: ThreadedClock, **more: Any) -> None:
        self.clock = clock
        self.cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=more.pop("max_bytes", 1 << 26))
        self.changes = 0
        self.service = Snapshots(clock, self.cache, file, 60.0, changes=lambda: self.changes, wall=self.wall, **more)

    def wall(self) -> float:
        return START - 5 + self.clock.seconds()

    def keep(self, key: bytes, value: bytes, expires_at: float = inf) -> None:
        self.cache.put(key, value, self.wall(), expires_at, len(key) + len(value))
        self.changes += 1

    def start(self) -> "Kept":
        self.service.startService()
        return self

    def stop(self) -> None:
        self.clock.wait(self.service.stopService())

    def save(self) -> None:
        self.clock.wait(Deferred.fromCoroutine(self.service.save()))

    def value(self, key: bytes) -> bytes | None:
        return self.cache.peek(key, self.wall())


def written(file: Path) -> dict[bytes, tuple[bytes, float]]:
    return {key: (value, expires_at) for group in read(file) for key, value, expires_at in group}


@pytest.fixture
def clock() -> ThreadedClock:
    clock = ThreadedClock()
    clock.advance(5)
    return clock


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache.snapshot"


@pytest.fixture
def kept(file: Path, clock: ThreadedClock) -> Iterator[Kept]:
    kept = Kept(file, clock).start()
    yield kept
    if kept.service.running:
        kept.stop()


def test_what_was_there_at_the_end_is_there_again_with_its_end(kept: Kept, file: Path, clock: ThreadedClock) -> None:
    kept.keep(b"a", b"1", START + 100)
    kept.keep(b"for ever", b"\xff\x00")
    kept.keep(b"short", b"2", START + 5)
    kept.stop()
    clock.advance(10)
    again = Kept(file, clock).start()
    assert (again.value(b"a"), again.value(b"for ever"), again.value(b"short")) == (b"1", b"\xff\x00", None)
    assert (again.cache.expires_at(b"a", START + 10), again.cache.expires_at(b"for ever", START)) == (START + 100, inf)
    assert (again.service.loaded, again.service.failures) == (2, 0)
    again.stop()


def test_what_has_expired_is_not_written(kept: Kept, file: Path, clock: ThreadedClock) -> None:
    kept.keep(b"a", b"1", START + 5)
    kept.keep(b"b", b"1", START + 50)
    clock.advance(5)
    kept.save()
    assert list(written(file)) == [b"b"]


def test_it_is_written_at_the_interval_when_something_changed(kept: Kept, file: Path, clock: ThreadedClock) -> None:
    def tick() -> int:
        clock.advance(60)
        while kept.service.writing:
            clock.run_handed()
        return kept.service.successes

    kept.keep(b"a", b"1")
    assert not file.exists()
    assert tick() == 1
    assert (kept.service.written_at, kept.service.duration_s) == (START + 60, 0.0)
    assert (kept.service.records, kept.service.bytes) == (1, file.stat().st_size)
    assert tick() == 1
    kept.keep(b"b", b"1")
    assert tick() == 2
    assert set(written(file)) == {b"a", b"b"}
    kept.stop()
    assert kept.service.successes == 2, "nothing changed since"


def test_an_empty_cache_stays_empty(kept: Kept, file: Path, clock: ThreadedClock) -> None:
    kept.keep(b"a", b"1")
    kept.save()
    kept.cache.clear()
    kept.changes += 1
    kept.stop()
    assert written(file) == {}


def test_many_and_large_entries_are_written_in_pieces(kept: Kept, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[tuple[int, int]] = []
    add = SnapshotWriter.add

    def counted(writer: SnapshotWriter, records: Any) -> None:
        pieces.append((len(records), sum(len(one.key) + len(one.value) for one in records)))
        add(writer, records)

    monkeypatch.setattr(SnapshotWriter, "add", counted)
    for number in range(5000):
        kept.keep(b"%d" % number, b"v")
    for number in range(8):
        kept.keep(b"large %d" % number, b"v" * 700_000)
    kept.save()
    assert len(written(file)) == 5008
    assert max(count for count, _ in pieces) < 2 * PIECE
    assert max(size for _, size in pieces) < snapshots.PIECE_BYTES + 700_100


def test_entries_may_change_while_it_is_written(kept: Kept, file: Path, clock: ThreadedClock) -> None:
    for number in range(20_000):
        kept.keep(b"%d" % number, b"v")
    saving = Deferred.fromCoroutine(kept.service.save())
    kept.cache.delete(b"19999", START)
    kept.keep(b"new", b"1")
    for number in range(0, 19_000, 2):
        kept.keep(b"%d" % number, b"w")
    clock.wait(saving)
    there = written(file)
    assert set(there) >= {b"%d" % number for number in range(19_999)}
    assert {value for value, _ in there.values()} <= {b"v", b"w", b"1"}
    kept.stop()
    assert len(written(file)) == 20_000, "the last one is of one moment"
    assert written(file)[b"0"] == (b"w", inf)


def test_stopping_ends_a_writing_and_writes_what_is_there_now(kept: Kept, file: Path, clock: ThreadedClock) -> None:
    for number in range(20_000):
        kept.keep(b"%d" % number, b"v")
    clock.advance(60)
    assert kept.service.writing
    kept.keep(b"0", b"w")
    kept.stop()
    assert (kept.service.successes, kept.service.failures) == (1, 0)
    assert written(file)[b"0"] == (b"w", inf)
    assert sorted(os.listdir(file.parent)) == ["cache.snapshot", "cache.snapshot-lock"]


@pytest.mark.parametrize("damage", ["cut", "flip", "more", "other", "empty"])
def test_a_damaged_one_is_set_aside_and_the_cache_is_empty(kept: Kept, file: Path, clock: ThreadedClock, damage: str) -> None:
    for number in range(10_000):
        kept.keep(b"%d" % number, b"v" * 40)
    kept.stop()
    data = file.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) * 2 // 3] ^= 1
    bad = {"cut": data[:-5], "flip": bytes(flipped), "more": data + b"x", "other": b"REDIS0011", "empty": b""}[damage]
    file.write_bytes(bad)
    warnings: list[Any] = []
    again = Kept(file, clock)
    again.service.log = _Log(warnings)  # type: ignore[assignment]
    again.start()
    assert len(again.cache) == 0
    (aside,) = file.parent.glob("*.bad-*")
    assert (aside.name, aside.read_bytes()) == ("cache.snapshot.bad-20231114T221320Z", bad)
    assert "cannot be read" in warnings[0]
    assert str(aside) in warnings[0]
    assert again.service.failures == 1
    again.keep(b"a", b"1")
    again.stop()
    assert list(written(file)) == [b"a"]


def test_wherever_a_byte_is_damaged_the_cache_starts_empty(kept: Kept, file: Path, clock: ThreadedClock) -> None:
    kept.keep(b"a", b"1", START + 100)
    kept.keep(b"b", b"22")
    kept.stop()
    data = file.read_bytes()
    for at in range(len(data)):
        file.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        again = Kept(file, clock)
        again.service.log = _Log([])  # type: ignore[assignment]
        again.service._load()
        assert (len(again.cache), again.service.failures, file.exists()) == (0, 1, False), at
    assert len(list(file.parent.glob("*.bad-*"))) == len(data)


class _Log:
    def __init__(self, lines: list[Any]) -> None:
        self.lines = lines

    def warn(self, text: str, **fields: Any) -> None:
        self.lines.append(text.format(**fields))

    def info(self, text: str, **fields: Any) -> None:
        """Not looked at."""


def test_a_disk_that_fails_is_a_warning_and_the_next_time_is_tried_again(
    kept: Kept, file: Path, clock: ThreadedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.keep(b"a", b"1")
    kept.save()
    warnings: list[Any] = []
    kept.service.log = _Log(warnings)  # type: ignore[assignment]

    def full(writer: SnapshotWriter) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(SnapshotWriter, "commit", full)
        kept.keep(b"b", b"1")
        clock.wait(kept.service._tick())  # type: ignore[arg-type]
        assert "No space left on device; the one before stays" in warnings[0]
    assert (kept.service.failures, list(written(file)), kept.service.writing) == (1, [b"a"], False)
    kept.stop()
    assert set(written(file)) == {b"a", b"b"}
    assert not list(file.parent.glob("*.tmp"))


def test_a_folder_that_is_gone_is_a_warning(file: Path, clock: ThreadedClock) -> None:
    warnings: list[Any] = []
    gone = Kept(file.parent / "gone" / "s", clock)
    gone.service.log = _Log(warnings)  # type: ignore[assignment]
    gone.start()
    gone.keep(b"a", b"1")
    gone.stop()
    assert gone.service.failures == 1
    assert ["cannot be locked" in warnings[0], "was not written" in warnings[1]] == [True, True]


def test_a_second_server_with_the_same_file_says_whose_it_is(kept: Kept, file: Path, clock: ThreadedClock) -> None:
    with pytest.raises(SystemExit, match=rf"^scalelab-cache: --snapshot: .* is in use by process {os.getpid()}; each server needs"):
        Kept(file, clock).start()
    kept.stop()
    os.close(lock(file))


def test_the_last_one_has_a_deadline(kept: Kept, file: Path, clock: ThreadedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.keep(b"a", b"1")
    kept.save()
    go_on, entered = Event(), Event()
    commit = SnapshotWriter.commit

    def slow(writer: SnapshotWriter) -> int:
        entered.set()
        assert go_on.wait(10)
        return commit(writer)

    monkeypatch.setattr(SnapshotWriter, "commit", slow)
    warnings: list[Any] = []
    kept.service.log = _Log(warnings)  # type: ignore[assignment]
    kept.keep(b"a", b"2")
    stopped = kept.service.stopService()
    for _ in ("opened", "added"):
        clock.run_handed()
    assert entered.wait(5)
    clock.advance(snapshots.LAST_S)
    assert "was not written within 60.0 s" in warnings[0]
    go_on.set()
    clock.wait(stopped)
    assert kept.service.failures == 1


def test_a_snapshot_larger_than_the_cache_fills_it(kept: Kept, file: Path, clock: ThreadedClock) -> None:
    for number in range(1000):
        kept.keep(b"%d" % number, b"v" * 100)
    kept.keep(b"large", b"v" * 100_000)
    kept.stop()
    again = Kept(file, clock, max_bytes=50_000).start()
    assert 0 < again.cache.bytes <= 50_000
    assert again.value(b"large") is None
    again.stop()


def test_one_can_be_asked_for(kept: Kept, file: Path, clock: ThreadedClock) -> None:
    for number in range(20_000):
        kept.keep(b"%d" % number, b"v")
    assert kept.service.begin()
    assert not kept.service.begin()
    clock.advance(60)
    while kept.service.writing:
        clock.run_handed()
    assert (kept.service.successes, kept.service.last_failed, len(written(file))) == (1, False, 20_000)
    assert kept.service.begin(), "although nothing changed"
    kept.keep(b"0", b"w")
    kept.stop()
    assert written(file)[b"0"] == (b"w", inf)
    assert sorted(os.listdir(file.parent)) == ["cache.snapshot", "cache.snapshot-lock"]
    assert not kept.service.begin(), "it has stopped"


def test_one_that_was_asked_for_and_fails_is_told(kept: Kept, file: Path, clock: ThreadedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(writer: SnapshotWriter) -> int:
        raise OSError(28, "No space left on device")

    kept.keep(b"a", b"1")
    with monkeypatch.context() as patch:
        patch.setattr(SnapshotWriter, "commit", full)
        kept.service.begin()
        while kept.service.writing:
            clock.run_handed()
    assert (kept.service.failures, kept.service.last_failed) == (1, True)
    kept.stop()
    assert not kept.service.last_failed
