"""The entries of the cache server, which HTTP and RESP share, and whoever wants to hear of their changes.

Keys and values are bytes. Over HTTP a value is JSON text; over RESP any bytes. Every change, by whichever protocol, by expiry
or by eviction, is told to the observers: WATCH and CLIENT TRACKING are made of it. What nobody observes costs one look.
"""

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any, Protocol

from scalability.ttlcache.engine import Outcome, TTLCache

_TOO_LARGE = Outcome.TOO_LARGE


class Observer(Protocol):
    """Hears of changes."""

    def changed(self, key: bytes, by: Any) -> None:
        """``key`` has another value or expiry now, or none. ``by`` is the client that changed it; None: expiry, eviction, HTTP."""

    def cleared(self, by: Any) -> None:
        """All keys are gone."""


class Entries:
    """The entries. Times are unix seconds, ``inf`` for an entry without end."""

    def __init__(self, cache: TTLCache[bytes, bytes], clock: Callable[[], float]) -> None:
        self.cache = cache
        self.now = clock
        self.changes = 0
        """Writes since the start, or since the last snapshot: whoever needs to know whether anything changed compares."""
        self.observers: list[Observer] = []
        """Those that want to hear now (``observe``). Whoever has nothing to hear takes itself out, so that writes cost less."""
        self.scan = cache.scan
        """``scan(cursor, count)``: some keys, and the next cursor; see ``TTLCache.scan``."""
        self.get = cache.get
        """``get(key, now)``: the value, or None. Counted as a hit or a miss."""

    def observe(self, observer: Observer) -> None:
        """Tell ``observer`` of changes from now on."""
        if observer not in self.observers:
            self.observers.append(observer)
            self.cache.on_removed = self.changed

    def unobserve(self, observer: Observer) -> None:
        """No more."""
        if observer in self.observers:
            self.observers.remove(observer)
        if not self.observers:
            self.cache.on_removed = None

    def put(self, key: bytes, value: bytes, now: float, expires_at: float, by: Any = None) -> Outcome:
        """Keep ``value`` until ``expires_at``, in place of whatever ``key`` had."""
        outcome = self.cache.put(key, value, now, expires_at, len(key) + len(value))
        self.changes += 1
        if self.observers:
            self.changed(key, by)
        return outcome

    def set(self, key: bytes, value: bytes, now: float, ttl_s: float, *, if_absent: bool = False) -> Outcome:
        """Keep ``value`` for ``ttl_s`` seconds; with ``if_absent`` only where there is none (else ``Outcome.EXISTS``)."""
        if if_absent and self.cache.peek(key, now) is not None:
            return Outcome.EXISTS
        return self.put(key, value, now, now + ttl_s)

    def delete(self, key: bytes, now: float, by: Any = None) -> bool:
        """Remove ``key``; True when it was there."""
        deleted = self.cache.delete(key, now)
        if deleted:
            self.changes += 1
            if self.observers:
                self.changed(key, by)
        return deleted

    def put_many(self, keys: Sequence[bytes], values: Sequence[bytes], now: float, by: Any = None) -> bool:
        """Keep each of ``values``, without end, for its key; False when one was too large: those behind it are not kept."""
        put = self.cache.put
        outcome = None
        done = 0
        for key, value in zip(keys, values, strict=True):
            done += 1
            outcome = put(key, value, now, inf, len(key) + len(value))
            if outcome is _TOO_LARGE:
                break
        self.changes += done
        if self.observers:
            for key in keys[:done]:
                self.changed(key, by)
        return outcome is not _TOO_LARGE

    def delete_many(self, keys: Iterable[bytes], now: float, by: Any = None) -> int:
        """Remove ``keys``; how many were there."""
        delete = self.cache.delete
        deleted = [key for key in keys if delete(key, now)]
        self.changes += len(deleted)
        if self.observers:
            for key in deleted:
                self.changed(key, by)
        return len(deleted)

    def expire(self, key: bytes, now: float, expires_at: float, by: Any = None) -> bool:
        """Let ``key`` end at another moment; False when there is no such key. A moment that is over deletes it."""
        if not self.cache.expire(key, now, expires_at):
            return False
        self.changes += 1
        if self.observers:
            self.changed(key, by)
        return True

    def clear(self, by: Any = None) -> None:
        """Remove all."""
        self.cache.clear()
        self.changes += 1
        for observer in tuple(self.observers):
            observer.cleared(by)

    def changed(self, key: bytes, by: Any = None) -> None:
        """Tell the observers."""
        for observer in tuple(self.observers):
            observer.changed(key, by)
