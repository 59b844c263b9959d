"""The access log: whole lines, in order, and a disk that is slow, full or gone."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from scalability.telemetry.access_log import BATCH_BYTES, FLUSH_S, MAX_PENDING_BYTES, STOP_S, AccessEntry, AccessLog, common_line
from scalability.telemetry.metrics import MetricSet

ENTRY = AccessEntry(time=1.5, client="192.0.2.1", method="GET", path="/data", status=200, duration_s=0.003, bytes=120)


class Thread:
    """Runs what it is given when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def run(self, call: Callable[[], Any]) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.waiting.append((call, answer))
        return answer

    def work(self) -> None:
        while self.waiting:
            call, answer = self.waiting.pop(0)
            answer.callback(call())


class Bench:
    """A log on a file, a clock and a thread of the test's own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.thread = Thread()
        self.log = AccessLog(self.clock, path, who="scalelab-lb", metrics=MetricSet(), run=self.thread.run)
        self.log.startService()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().split("\n")[:-1]]

    def stop(self) -> None:
        stopped: list[object] = []
        self.log.stopService().addBoth(stopped.append)
        self.thread.work()
        self.thread.work()
        assert stopped == [None]
        assert not self.clock.getDelayedCalls()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "access.log")


def test_a_line_is_in_the_file_a_second_later_and_leaves_out_what_is_empty(bench: Bench) -> None:
    bench.log.record(ENTRY)
    assert bench.lines() == []
    bench.clock.advance(FLUSH_S)
    bench.thread.work()
    wanted = {"time": 1.5, "client": "192.0.2.1", "method": "GET", "path": "/data", "status": 200, "duration_s": 0.003, "bytes": 120}
    assert bench.lines() == [wanted]
    bench.stop()


def test_hostile_text_stays_within_its_line(bench: Bench) -> None:
    path = '/a"b\\c\n{"forged": 1}\x00\u2028'
    bench.log.record(AccessEntry(time=0, client="", method="GET", path=path, status=0, duration_s=0, bytes=0, reason="no_answer"))
    bench.stop()
    assert [line["path"] for line in bench.lines()] == [path]


def test_many_lines_are_written_without_waiting_for_the_second(bench: Bench) -> None:
    count = 0
    while not bench.thread.waiting:
        bench.log.record(ENTRY)
        count += 1
    bench.thread.work()
    assert len(bench.lines()) == count
    assert bench.path.stat().st_size >= BATCH_BYTES
    bench.stop()


def test_what_gathers_while_the_disk_writes_follows_in_order(bench: Bench) -> None:
    for status in (200, 201):
        bench.log.record(AccessEntry(time=0, client="", method="", path="", status=status, duration_s=0, bytes=0))
        bench.clock.advance(FLUSH_S)
    assert len(bench.thread.waiting) == 1, "one write at a time"
    bench.thread.work()
    bench.stop()
    assert [line["status"] for line in bench.lines()] == [200, 201]


def test_a_file_that_exists_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text('{"status":1}\n')
    bench = Bench(path)
    bench.log.record(ENTRY)
    bench.stop()
    assert [line["status"] for line in bench.lines()] == [1, 200]


def test_a_disk_that_does_not_keep_up_costs_lines_that_are_counted_and_no_memory(bench: Bench) -> None:
    bench.log.record(ENTRY)
    bench.clock.advance(FLUSH_S)  # this write hangs
    recorded = 1
    while not bench.log.dropped.value:
        bench.log.record(ENTRY)
        recorded += 1
    bench.log.record(ENTRY)
    assert bench.log.dropped.value == 2
    bench.thread.work()
    bench.thread.work()
    assert len(bench.lines()) == recorded - 1
    assert MAX_PENDING_BYTES <= bench.path.stat().st_size <= MAX_PENDING_BYTES + 500
    bench.stop()


def test_a_full_disk_is_said_once_counted_and_recovered_from(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def full(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for _ in range(2):
        bench.log.record(ENTRY)
        bench.clock.advance(FLUSH_S)
        bench.thread.work()
    assert bench.log.dropped.value == 2
    monkeypatch.setattr(os, "write", real)
    bench.log.record(ENTRY)
    bench.clock.advance(FLUSH_S)
    bench.thread.work()
    assert len(bench.lines()) == 1
    assert bench.log.dropped.value == 2
    bench.stop()


def test_a_line_that_was_torn_by_a_full_disk_does_not_spoil_the_next(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    answers = [10]

    def some(file: int, data: bytes) -> int:
        if not answers:
            raise OSError(28, "No space left on device")
        return real(file, data[: answers.pop()])

    monkeypatch.setattr(os, "write", some)
    bench.log.record(ENTRY)
    bench.clock.advance(FLUSH_S)
    bench.thread.work()
    monkeypatch.setattr(os, "write", real)
    bench.log.record(ENTRY)
    bench.stop()
    torn, whole = bench.path.read_text().splitlines()
    assert torn == '{"time":1.'
    assert json.loads(whole)["status"] == 200
    assert bench.log.dropped.value == 1


def test_stopping_writes_what_waits(bench: Bench) -> None:
    bench.log.record(ENTRY)
    bench.stop()
    assert len(bench.lines()) == 1


def test_a_disk_that_hangs_does_not_hold_up_the_end(bench: Bench) -> None:
    bench.log.record(ENTRY)
    stopped: list[object] = []
    bench.log.stopService().addBoth(stopped.append)
    assert not stopped
    bench.clock.advance(STOP_S)
    assert stopped == [None]
    assert not bench.clock.getDelayedCalls()


def test_a_file_that_cannot_be_opened_ends_the_start_with_one_line(tmp_path: Path) -> None:
    log = AccessLog(Clock(), tmp_path / "no" / "such.log", who="scalelab-lb", metrics=MetricSet())
    with pytest.raises(
        SystemExit, match=r"^scalelab-lb: cannot write the access log .*No such file or directory; --access-log names another file$"
    ):
        log.privilegedStartService()


def test_stopping_before_starting_and_twice_is_harmless(tmp_path: Path) -> None:
    log = AccessLog(Clock(), tmp_path / "access.log", who="scalelab-lb", metrics=MetricSet())
    done: list[object] = []
    log.stopService().addBoth(done.append)
    log.stopService().addBoth(done.append)
    assert done == [None, None]


def test_a_file_that_was_renamed_is_made_anew_without_a_line_lost(bench: Bench, tmp_path: Path) -> None:
    bench.log.record(ENTRY)
    bench.clock.advance(FLUSH_S)
    bench.thread.work()
    bench.path.rename(tmp_path / "access.log.1")
    bench.log.record(AccessEntry(time=0, client="", method="", path="", status=201, duration_s=0, bytes=0))
    bench.stop()
    assert [line["status"] for line in bench.lines()] == [201]
    assert json.loads((tmp_path / "access.log.1").read_text())["status"] == 200


def test_reopening_makes_the_file_at_once_though_nothing_waits(bench: Bench, tmp_path: Path) -> None:
    bench.path.rename(tmp_path / "access.log.1")
    bench.log.reopen()
    bench.thread.work()
    assert bench.path.exists()
    bench.stop()


def test_reopening_while_the_disk_writes_happens_right_after(bench: Bench, tmp_path: Path) -> None:
    bench.log.record(ENTRY)
    bench.clock.advance(FLUSH_S)
    bench.log.reopen()
    call, answer = bench.thread.waiting.pop()
    answer.callback(call())
    bench.path.rename(tmp_path / "access.log.1")
    bench.thread.work()
    assert bench.path.exists()
    bench.stop()


def test_a_file_that_cannot_be_made_anew_keeps_its_lines_in_the_old_one(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open
    bench.path.rename(tmp_path / "access.log.1")

    def refused(*given: Any, **more: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    for _ in range(2):
        bench.log.record(ENTRY)
        bench.clock.advance(FLUSH_S)
        bench.thread.work()
    monkeypatch.setattr(os, "open", real)
    assert len((tmp_path / "access.log.1").read_text().splitlines()) == 2
    bench.log.record(ENTRY)
    bench.stop()
    assert len(bench.lines()) == 1
    assert not bench.log.dropped.value


def test_a_new_file_does_not_begin_with_the_end_of_a_torn_line(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    answers = [10]

    def some(file: int, data: bytes) -> int:
        if not answers:
            raise OSError(28, "No space left on device")
        return real(file, data[: answers.pop()])

    monkeypatch.setattr(os, "write", some)
    bench.log.record(ENTRY)
    bench.clock.advance(FLUSH_S)
    bench.thread.work()
    monkeypatch.setattr(os, "write", real)
    bench.path.rename(tmp_path / "access.log.1")
    bench.log.record(ENTRY)
    bench.stop()
    assert bench.path.read_text().startswith("{")


def test_the_signal_is_heard_while_it_runs_and_left_alone_afterwards(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Callable[[], None]] = []
    monkeypatch.setattr(bench.clock, "callFromThread", asked.append, raising=False)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert asked == [bench.log.reopen]
    bench.stop()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_the_common_log_format_is_that_of_other_servers(tmp_path: Path) -> None:
    entry = AccessEntry(time=971186136.9, client="192.0.2.1", method="GET", path="/a.gif", status=200, duration_s=0.1, bytes=2326, minor=0)
    assert common_line(entry) == b'192.0.2.1 - - [10/Oct/2000:13:55:36 +0000] "GET /a.gif HTTP/1.0" 200 2326'
    clock = Clock()
    log = AccessLog(
        clock, tmp_path / "access.log", who="scalelab-lb", metrics=MetricSet(), format="common", run=lambda call: succeed(call())
    )
    log.startService()
    log.record(entry)
    log.record(entry)
    log.stopService()
    assert (tmp_path / "access.log").read_bytes() == (common_line(entry) + b"\n") * 2


def test_hostile_text_stays_within_its_quotes() -> None:
    path = '/"\\\n\x00\u00e9'
    line = common_line(AccessEntry(time=0, client="", method="GET", path=path, status=0, duration_s=0, bytes=0))
    assert line == rb'- - - [01/Jan/1970:00:00:00 +0000] "GET /\x22\x5c\x0a\x00\xc3\xa9 HTTP/1.1" 000 -'


def test_what_was_no_request_has_a_dash_for_one() -> None:
    line = common_line(AccessEntry(time=0, client="::1", method="", path="", status=400, duration_s=0, bytes=0))
    assert line == b'::1 - - [01/Jan/1970:00:00:00 +0000] "-" 400 -'
