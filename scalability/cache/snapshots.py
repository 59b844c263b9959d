"""The entries, kept over a restart: loaded at the start, written at an interval and at the end.

Loading: in ``startService``, before the reactor runs. The listening socket is open by then, so that clients who come meanwhile wait
in its queue and are answered from the loaded entries; a signal ends the process at once. Entries whose time is over are passed over,
the others keep their end, which is a moment in unix time. A snapshot that is damaged is set aside, and the cache starts empty.

Writing: the reactor collects a piece of the entries (``PIECE`` keys or ``PIECE_BYTES``), a thread writes it, then comes the next: that is
all that is in memory at once, and the reactor is held for a millisecond. So the snapshot is not of one moment: an entry that changes
while it is written is in it as it was or as it became. The last one, when the listeners have closed, is of one moment.

States: idle -> writing -> idle. Stopping ends a writing under way between two pieces and begins the last one.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from math import isnan
from pathlib import Path
from time import perf_counter, time
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.logger import Logger

from scalability.cache.snapshot_file import InUse, SnapshotWriter, lock, read, set_aside
from scalability.cache.snapshot_format import Record, SnapshotDamaged
from scalability.config import fail
from scalability.lifecycle import Ticker
from scalability.lifecycle.threads import Threads
from scalability.ttlcache import Outcome, TTLCache

PIECE: Final = 500
"""Keys that are looked at in one turn of the reactor."""
PIECE_BYTES: Final = 1 << 20
"""Keys and values that are held for the thread at once, but for one entry that is larger."""
LAST_S: Final = 60.0
"""The last snapshot may take so long; then the process ends without it, and the one before stays."""


class _Ended(CancelledError):
    """This writing is not needed any more: a later one takes its place."""


class Snapshots(Service):
    """Keeps ``cache`` in the file ``path``, written anew every ``interval_s`` seconds in which something changed.

    ``changes`` counts changes: while it says the same, nothing is written. ``reactor`` provides IReactorTime and IReactorFromThreads;
    ``wall`` tells the Unix time, by which entries end.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        cache: TTLCache[bytes, bytes],
        path: Path,
        interval_s: float,
        *,
        changes: Callable[[], int],
        wall: Callable[[], float] = time,
        last_s: float = LAST_S,
        threads: Threads | None = None,
        who: str = "scalelab-cache",
    ) -> None:
        self._reactor = reactor
        self._wall = wall
        self._cache = cache
        self._path = path
        self._changes = changes
        self._last_s = last_s
        self._who = who
        self._lock: int | None = None
        self._kept_changes: int | None = None
        """What ``changes`` said when the file's content was that of the cache."""
        self._interrupted = False
        self._asked: Deferred[None] | None = None
        """The last one that somebody asked for."""
        self._threads = threads or Threads(reactor, 1, name="snapshot")
        self._ticker = Ticker(reactor, interval_s, self._tick, now=False)
        self.written_at = 0.0
        """Unix seconds of the last success; 0 before that."""
        self.duration_s = 0.0
        """Of the last success."""
        self.bytes = 0
        """Of the last success."""
        self.records = 0
        """Of the last success."""
        self.successes = 0
        self.failures = 0
        self.last_failed = False
        """Whether the last one that was begun was not written."""
        self.loaded = 0
        """Entries that were there at the start."""
        self.writing = False

    def startService(self) -> None:
        """Lock and load. Ends the process with one line when another one has the file."""
        super().startService()
        try:
            self._take_lock()
        except InUse as error:
            fail(self._who, f"--snapshot: {self._path} {error}")
        except OSError as error:
            self.log.warn("the snapshot {path} cannot be locked: {why}", path=str(self._path), why=_why(error))
        self._load()
        self._threads.startService()
        self._ticker.startService()

    def stopService(self) -> Deferred[None]:
        """Fires when the last snapshot is written, or was given up."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    def begin(self) -> bool:
        """Begin one now, whether anything has changed or not; False when one is being written already."""
        if self.writing or not self.running:
            return False
        self._asked = Deferred.fromCoroutine(self._save_or_warn()).addErrback(self._not_asked)
        return True

    def _not_asked(self, failure: Any) -> None:
        if not failure.check(CancelledError):
            self.log.failure("a snapshot that was asked for failed", failure)

    async def save(self) -> None:
        """Write a snapshot now. Raises OSError, InUse."""
        began, changes = self._reactor.seconds(), self._changes()
        self._take_lock()
        self.writing = True
        writer = SnapshotWriter(self._path, self._wall())
        try:
            await self._threads.run(writer.open)
            cursor = 0
            while True:
                cursor, keys = self._cache.scan(cursor, PIECE)
                for records in self._pieces(keys):
                    await self._threads.run(partial(writer.add, records))
                    self._go_on()
                if not cursor:
                    break
            size = await self._threads.run(writer.commit)
        except BaseException:
            # behind whatever the thread is doing now
            self._threads.run(writer.abandon).addErrback(lambda _: None)
            raise
        finally:
            self.writing = False
        self.written_at = self._wall()
        self.duration_s = self._reactor.seconds() - began
        self.bytes, self.records = size, writer.records
        self.successes += 1
        self._kept_changes = changes

    def _pieces(self, keys: list[bytes]) -> Iterator[list[Record]]:
        """The entries of ``keys`` as they are when it is their turn."""
        cache = self._cache
        now = self._wall()
        records: list[Record] = []
        held = 0
        for key in keys:
            value = cache.peek(key, now)
            expires_at = cache.expires_at(key, now)
            if value is None or expires_at is None:
                continue
            records.append(Record(key, value, expires_at))
            held += len(key) + len(value)
            if held >= PIECE_BYTES:
                yield records
                records, held = [], 0
                now = self._wall()
        if records:
            yield records

    def _go_on(self) -> None:
        if self._interrupted:
            raise _Ended

    def _tick(self) -> Deferred[None] | None:
        if self.writing or self._kept_changes == self._changes():
            return None
        return Deferred.fromCoroutine(self._save_or_warn())

    async def _save_or_warn(self) -> None:
        self.last_failed = True
        try:
            await self.save()
        except CancelledError:
            raise
        except (OSError, InUse) as error:
            self.failures += 1
            self.log.warn("the snapshot {path} was not written: {why}; the one before stays", path=str(self._path), why=_why(error))
        except Exception:
            self.failures += 1
            raise
        else:
            self.last_failed = False

    async def _stop(self) -> None:
        self._interrupted = True
        await self._ticker.stopService()
        if self._asked is not None:
            self._asked.cancel()
        self._interrupted = False
        if self._kept_changes != self._changes():
            last = Deferred.fromCoroutine(self._save_or_warn()).addTimeout(self._last_s, self._reactor)
            try:
                await last
            except (TookTooLong, CancelledError):
                self.failures += 1
                self.log.warn(
                    "the snapshot {path} was not written within {limit} s; the one before stays", path=str(self._path), limit=self._last_s
                )
            except Exception:
                self.log.failure("the last snapshot failed")
        await self._threads.stopService()
        held, self._lock = self._lock, None
        if held is not None:
            os.close(held)

    def _take_lock(self) -> None:
        if self._lock is None:
            self._lock = lock(self._path)

    def _load(self) -> None:
        began = perf_counter()
        cache, now = self._cache, self._wall()
        over = too_many = 0
        try:
            for records in read(self._path):
                for key, value, expires_at in records:
                    if isnan(expires_at) or expires_at <= now:
                        over += 1
                    elif cache.put(key, value, now, expires_at, len(key) + len(value)) is Outcome.TOO_LARGE:
                        too_many += 1
        except FileNotFoundError:
            return
        except (SnapshotDamaged, OSError) as error:
            cache.clear()
            self._set_aside(_why(error), now)
            return
        self.loaded = len(cache)
        self._kept_changes = self._changes()
        self.log.info(
            "{loaded} entries loaded from {path} in {took:.2f} s; {over} had ended, {large} were too large",
            loaded=self.loaded,
            path=str(self._path),
            took=perf_counter() - began,
            over=over,
            large=too_many,
        )

    def _set_aside(self, why: str, now: float) -> None:
        self.failures += 1
        try:
            aside = set_aside(self._path, now)
        except OSError as error:
            self.log.warn(
                "the snapshot {path} cannot be read ({why}) nor set aside ({other}); the cache is empty",
                path=str(self._path),
                why=why,
                other=_why(error),
            )
        else:
            self.log.warn(
                "the snapshot {path} cannot be read ({why}); it is now {aside}, and the cache is empty",
                path=str(self._path),
                why=why,
                aside=str(aside),
            )


def _why(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
