"""One line a request, written in batches by a thread of its own: neither a slow nor a full disk ever delays a request.

A written log event costs 12 us; a line here costs under 1. Lines wait in memory at most a second or 64 KiB. What does not fit
into the bound, because the disk does not keep up or refuses, is dropped and counted (``scalelab_access_log_dropped_total``);
the beginning and the end of such a time stand in the log.

The file is opened anew on SIGUSR1, and at the next batch when its path leads elsewhere or nowhere: so it may be rotated by
renaming it, with a signal or without. No line is lost or torn by that.
"""

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

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


COMPLETE = "complete"
"""The ``reason`` of a request whose answer was sent to its last byte."""

NO_TIME_S = 0.0
"""A phase that did not occur. This very object is left out of a line: msgspec looks for the default itself, not for its equals."""


class AccessEntry(msgspec.Struct, omit_defaults=True):
    """One line. Members that are empty or zero are left out, apart from those without a default. Times are seconds."""

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
    """From the complete head to the last byte of the answer."""
    bytes: int
    """Of the answer, head included."""
    reason: str = COMPLETE
    """How it ended: ``complete``, or the code of the error that ended it."""
    received_bytes: int = 0
    """Of the request, head included."""
    server: str = ""
    """The server behind us that was tried last."""
    retries: int = 0
    """Attempts beyond the first."""
    accept_s: float = NO_TIME_S
    """From the connection to the first byte of its first request."""
    head_s: float = NO_TIME_S
    """From the first byte of the head to its last."""
    queue_s: float = NO_TIME_S
    """From the complete head until a server was chosen."""
    connect_s: float = NO_TIME_S
    """Spent on connecting to servers."""
    first_byte_s: float = NO_TIME_S
    """From the request's being sent to the server to the first byte of its answer."""
    request_id: str = ""
    """As X-Request-Id tells it."""
    minor: int = 1
    """Of the client's version, HTTP/1.``minor``."""
    route: str = ""
    """The prefix of the gateway's route that served it."""


Format = Literal["json", "common"]
"""How a line looks: JSON with all members, or the Common Log Format of NCSA's and Apache's servers."""


def common_line(entry: AccessEntry) -> bytes:
    """``CLIENT - - [TIME] "METHOD PATH VERSION" STATUS BYTES`` in UTC. What could end a quoted string early is escaped as ``\\xHH``."""
    when = _common_time(int(entry.time))
    request = f"{entry.method} {entry.path} HTTP/1.{entry.minor}" if entry.method else "-"
    return f'{entry.client or "-"} - - [{when}] "{_UNSAFE.sub(_escaped, request)}" {entry.status:03d} {entry.bytes or "-"}'.encode()


_UNSAFE = re.compile(r'["\\]|[^ -~]')
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"\\x{octet:02x}" for octet in match[0].encode())


@lru_cache(maxsize=4)  # requests come in order, thousands of them in the same second
def _common_time(second: int) -> str:
    # not strftime: its months follow the locale
    t = time.gmtime(second)
    return f"{t.tm_mday:02d}/{_MONTHS[t.tm_mon - 1]}/{t.tm_year:04d}:{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} +0000"


class _Written(NamedTuple):
    lines: int
    torn: bool
    """The last byte that was written does not end a line."""
    error: OSError | None
    not_reopened: OSError | None = None
    """Why the file, which was moved away, could not be opened anew: the old one is written on."""


class AccessLog(Service):
    """Appends to the file ``path``, which is opened when the service starts: one line on stderr and the end when that fails.

    ``who`` names the plugin in that line; ``format`` says how the others look; ``run`` calls a function on a thread (one of its
    own unless given).
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        path: Path,
        *,
        who: str,
        metrics: MetricSet,
        format: Format = "json",  # noqa: A002 - what the flag calls it
        run: Callable[[Callable[[], _Written]], Deferred[_Written]] | None = None,
    ) -> None:
        self._clock = reactor
        self._path = path
        self._who = who
        self._threads = Threads(reactor, 1, name="access log", limit=1)
        self._run = self._threads.run if run is None else run
        self._ticker = Ticker(reactor, FLUSH_S, self._tick, now=False)
        self._encode_into = _common_into if format == "common" else msgspec.json.Encoder().encode_into
        self._pending = bytearray()
        self._file = -1
        self._writing: Deferred[None] | None = None
        self._torn = False
        self._failing = False
        self._stuck = False
        self._reopening = False
        self._handler_before: Any = None
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

    def reopen(self) -> None:
        """Open the file anew, before anything else is written: whoever renamed it may do with it what he likes in a moment."""
        self._reopening = True
        if self._writing is None:
            self._flush()

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        self._open()

    def startService(self) -> None:
        self._open()
        super().startService()
        self._threads.startService()
        self._ticker.startService()
        self._listen_to_signal()

    def _listen_to_signal(self) -> None:
        if threading.current_thread() is threading.main_thread() and self._handler_before is None:

            def asked(number: int, frame: object) -> None:
                # Python calls this between any two instructions: the loop has the right moment
                self._clock.callFromThread(self.reopen)

            self._handler_before = signal.signal(signal.SIGUSR1, asked)

    def _ignore_signal(self) -> None:
        before, self._handler_before = self._handler_before, None
        if before is not None:
            signal.signal(signal.SIGUSR1, before)

    def stopService(self) -> Deferred[None]:
        """Write what waits, as far as the disk takes it within ``STOP_S``, and close the file."""
        super().stopService()
        self._ignore_signal()
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
            self._file = _open(self._path)
        except OSError as error:
            fail(self._who, f"cannot write the access log {self._path}: {error.strerror}; --access-log names another file")

    def _tick(self) -> None:
        if self._writing is None:
            self._flush()

    def _flush(self) -> None:
        if self._file < 0 or not (self._pending or self._reopening):
            return
        pending, self._pending = self._pending, bytearray()
        reopen, self._reopening = self._reopening, False
        data = bytes(pending)
        lines = pending.count(b"\n")
        torn = self._torn
        writing = self._writing = self._run(lambda: self._write(data, lines, torn, reopen)).addCallbacks(
            self._written, self._refused, errbackArgs=(lines,)
        )
        writing.addCallback(self._over)

    def _over(self, _: None) -> None:
        self._writing = None
        if (len(self._pending) >= BATCH_BYTES and self._ticker.running) or self._reopening:
            self._flush()

    def _written(self, written: _Written) -> None:
        self._torn = written.torn
        stuck = written.not_reopened is not None
        if stuck is not self._stuck:
            self._stuck = stuck
            if written.not_reopened is not None:
                why = written.not_reopened.strerror
                self.log.error("the access log {path} cannot be opened anew: {why}; the old file is written on", path=self._path, why=why)
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

    def _write(self, data: bytes, lines: int, torn: bool, reopen: bool) -> _Written:
        """On the thread, the only one that changes the open file: see to it that it is the right one, and append."""
        not_reopened: OSError | None = None
        if reopen or _moved(self._file, self._path):
            try:
                file = _open(self._path)
            except OSError as error:
                not_reopened = error
            else:
                # the number stays, so that nobody can be left with that of a closed file
                os.dup2(file, self._file, inheritable=False)
                os.close(file)
                torn = False
        if torn and data:
            data = b"\n" + data
        written = _append(self._file, data, lines)
        return written._replace(torn=written.torn if data else torn, not_reopened=not_reopened)


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def _moved(file: int, path: Path) -> bool:
    """Whether ``path`` leads to another file than the open one, or to none."""
    try:
        there = path.stat()
    except OSError:
        return True
    here = os.fstat(file)
    return (there.st_ino, there.st_dev) != (here.st_ino, here.st_dev)


def _common_into(entry: AccessEntry, buffer: bytearray, offset: int) -> None:
    buffer += common_line(entry)


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
