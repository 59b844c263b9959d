"""One JSON line a request, written in batches by a thread of its own: neither a slow nor a full disk ever delays a request.

A written log event costs 12 us; a line here costs under 1. Lines wait in memory at most a second or 64 KiB. What does not fit
into the bound, because the disk does not keep up or refuses, is dropped and counted (``scalelab_access_log_dropped_total``);
the beginning and the end of such a time stand in the log.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.config import fail
from scalability.lifecycle import Ticker
from scalability.lifecycle.threads import Threads
from scalability.telemetry.metrics import MetricSet

FLUSH_S = 1.0
"""The longest time, in seconds, that a line waits."""
BATCH_BYTES = 64 << 10
"""As many bytes are written without waiting longer."""
MAX_PENDING_BYTES = 4 << 20
"""As many bytes may wait; further lines are dropped."""

STOP_S = 5.0
"""What a disk that hangs is given, in seconds, when the service stops."""


class AccessEntry(msgspec.Struct, omit_defaults=True):
    """One line. Members that are empty or zero are left out, apart from those without a default."""

    time: float
    """When the request's head was complete, in Unix seconds."""
    client: str
    """The client's IP address: the peer's, or what a trusted proxy told."""
    method: str
    path: str
    """Without its query, which may carry a token."""
    status: int
    """0 when nothing was answered."""
    duration_s: float
    bytes: int
    """Of the answer, head included."""
    server: str = ""
    """Who answered behind us."""
    reason: str = ""
    """The code of the error that it ended with."""
    request_id: str = ""
    """As X-Request-Id tells it."""


class _Written(NamedTuple):
    lines: int
    torn: bool
    """The last byte that was written does not end a line."""
    error: OSError | None


class AccessLog(Service):
    """Appends to the file ``path``, which is opened when the service starts: one line on stderr and the end when that fails.

    ``who`` names the plugin in that line; ``run`` calls a function on a thread (one of its own unless given).
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        path: Path,
        *,
        who: str,
        metrics: MetricSet,
        run: Callable[[Callable[[], _Written]], Deferred[_Written]] | None = None,
    ) -> None:
        self._clock = reactor
        self._path = path
        self._who = who
        self._threads = Threads(reactor, 1, name="access log", limit=1)
        self._run = self._threads.run if run is None else run
        self._ticker = Ticker(reactor, FLUSH_S, self._tick, now=False)
        self._encode_into = msgspec.json.Encoder().encode_into
        self._pending = bytearray()
        self._file = -1
        self._writing: Deferred[None] | None = None
        self._torn = False
        self._failing = False
        self.dropped = metrics.counter(
            "scalelab_access_log_dropped_total", "Lines that the access log lost to a slow, full or broken disk."
        )

    def record(self, entry: AccessEntry) -> None:
        """Write ``entry`` soon. Never fails, never waits."""
        pending = self._pending
        if len(pending) >= MAX_PENDING_BYTES:
            self.dropped.value += 1
            return
        self._encode_into(entry, pending, -1)
        pending += b"\n"
        if self._writing is None and len(pending) >= BATCH_BYTES:
            self._flush()

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        self._open()

    def startService(self) -> None:
        self._open()
        super().startService()
        self._threads.startService()
        self._ticker.startService()

    def stopService(self) -> Deferred[None]:
        """Write what waits, as far as the disk takes it within ``STOP_S``, and close the file."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._ticker.stopService()
        try:
            # twice: what is being written now, then what has gathered meanwhile
            await self._writing_ended()
            self._flush()
            await self._writing_ended()
        except TookTooLong:
            self.log.warn("the access log {path} hangs: its last lines are lost", path=self._path)
            await self._threads.stopService()
            return  # the thread may still be at it: the file is closed with the process
        await self._threads.stopService()
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _writing_ended(self) -> Deferred[None]:
        if self._writing is None:
            return succeed(None)
        ended: Deferred[None] = Deferred()

        def pass_on(_: None) -> None:
            ended.callback(None)

        self._writing.addCallback(pass_on)
        return ended.addTimeout(STOP_S, self._clock)

    def _open(self) -> None:
        if self._file >= 0:
            return
        try:
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            fail(self._who, f"cannot write the access log {self._path}: {error.strerror}; --access-log names another file")

    def _tick(self) -> None:
        if self._writing is None:
            self._flush()

    def _flush(self) -> None:
        if not self._pending or self._file < 0:
            return
        pending, self._pending = self._pending, bytearray()
        file, data = self._file, bytes(b"\n" + pending if self._torn else pending)
        lines = pending.count(b"\n")
        writing = self._writing = self._run(lambda: _append(file, data, lines)).addCallbacks(
            self._written, self._refused, errbackArgs=(lines,)
        )
        writing.addCallback(self._over)

    def _over(self, _: None) -> None:
        self._writing = None
        if len(self._pending) >= BATCH_BYTES and self._ticker.running:
            self._flush()

    def _written(self, written: _Written) -> None:
        self._torn = written.torn
        if written.error is None:
            if self._failing:
                self._failing = False
                self.log.info("the access log {path} can be written again", path=self._path)
            return
        self.dropped.value += written.lines
        if not self._failing:
            self._failing = True
            self.log.error("the access log {path} cannot be written: {why}", path=self._path, why=written.error.strerror)

    def _refused(self, failure: Failure, lines: int) -> None:
        # the thread was not to be had: the service has stopped around it
        self.dropped.value += lines
        self.log.failure("{lines} lines of the access log are lost", failure, lines=lines)


def _append(file: int, data: bytes, lines: int) -> _Written:
    """On the thread: write all of ``data``, or say how many of its ``lines`` are lost and why."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(file, left) :]
        except OSError as error:
            done = data[: len(data) - len(left)]
            return _Written(min(lines, bytes(left).count(b"\n")), bool(done) and not done.endswith(b"\n"), error)
    return _Written(0, False, None)
