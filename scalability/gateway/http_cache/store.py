"""Where the HTTP cache keeps its answers: bounded in bytes, evicted by ``ttlcache`` (S3-FIFO), purged by URI, prefix and tag. PURE.

Times are the caller's clock's, in seconds. A ``Resource`` holds all that is stored for one URI. Whatever changes it gives it another
``version``, which no resource had before, so that who prepared an answer from it can tell with one comparison whether that is still the
answer to give.
"""

import itertools
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import replace
from typing import Final

from scalability.gateway.http_cache.changes import Changes
from scalability.gateway.http_cache.outside import Outside
from scalability.gateway.http_cache.pins import Pin, Pins
from scalability.gateway.http_cache.prepared import Prepared, PreparedAnswers
from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.gateway.http_cache.tags import Tags
from scalability.gateway.http_cache.variants import Variants
from scalability.ttlcache import TTLCache
from scalability.ttlcache.engine import Outcome

MAX_NOTES: Final = 10_000
"""URIs that are remembered for answers which must not be stored."""

NOTE_BYTES: Final = 1
"""What such a note counts beside its key and ``ttlcache``'s own overhead."""

PURGE_PIECE: Final = 100
"""Keys whose answers are purged in one piece: 1 ms."""

_VERSIONS = itertools.count(1)


class Resource:
    """All answers that are stored for one URI."""

    __slots__ = ("key", "prepared", "variants", "version")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.variants = Variants()
        self.version = next(_VERSIONS)
        self.prepared: dict[int, Prepared] = {}
        """What the fast path made of the answers of this version; empty again with the next."""

    def changed(self) -> None:
        """Nothing that was made of the answers before holds any more."""
        self.version = next(_VERSIONS)
        self.prepared = {}


class PurgeCounts:
    """What was purged, in plain numbers."""

    __slots__ = ("crowded", "invalidated", "purged")

    def __init__(self) -> None:
        self.crowded = 0
        """Answers that were not stored since too much is held outside of the store."""
        self.purged = 0
        """Answers that somebody asked to purge, hard or soft."""
        self.invalidated = 0
        """Answers that an unsafe request has made invalid."""


class AnswerStore:
    """At most ``max_bytes`` of answers, ``max_object_bytes`` of body for each.

    What is held ``outside`` of the store counts against the bound: the more that is, the earlier answers are evicted. While it is three
    quarters of the bound, or evicting would free too little since clients are reading all that is large, nothing new is stored.
    ``uncacheable_s`` is how long it is remembered that a URI has answers which must not be stored.
    """

    def __init__(self, *, max_bytes: int, max_object_bytes: int, uncacheable_s: float = 120.0) -> None:
        self.max_bytes = max_bytes
        self.max_object_bytes = max_object_bytes
        self.outside = Outside(max(max_object_bytes, max_bytes // 4))
        self.pins = Pins(self.outside)
        self.prepared = PreparedAnswers(self.outside, max_bytes // 8)
        self.counts = PurgeCounts()
        self.resources: TTLCache[bytes, Resource] = TTLCache(max_bytes=max_bytes)
        self.resources.on_removed = self.pins.changed
        self._notes: TTLCache[bytes, int] = TTLCache(max_bytes=MAX_NOTES * 1000, max_entries=MAX_NOTES)
        self._uncacheable_s = uncacheable_s
        self._tags = Tags()
        self.changes = Changes()

    def resource(self, key: bytes, now: float) -> Resource | None:
        """What is stored for ``key``; counts as a use of it."""
        return self.resources.get(key, now)

    def put(self, key: bytes, answer: StoredAnswer, now: float) -> bool:
        """Keep ``answer``; False when it is too large, or when clients hold so much of what is stored no more that there is no room."""
        if len(answer.body) > self.max_object_bytes:
            return False
        if not self.has_room(len(answer.body)):
            self.counts.crowded += 1
            return False
        resource = self.resources.get(key, now) or Resource(key)
        resource.variants.put(answer)
        return self._keep(resource, now, answer.tags)

    def has_room(self, size_bytes: int) -> bool:
        """Whether one more answer of that size may come; what must go for it is found then."""
        stored, outside = self.resources.bytes, self.outside.total_bytes
        if outside > self.max_bytes - self.max_bytes // 4:
            return False
        if stored + outside + size_bytes - self.max_bytes > max(0, stored - self.pins.stored_bytes):
            return False
        self.resources.max_bytes = self.max_bytes - outside
        return True

    def replace(self, key: bytes, old: StoredAnswer, new: StoredAnswer | None, now: float) -> None:
        """``new`` takes the place of ``old`` if that is still there; None: nothing does."""
        resource = self.resources.get(key, now)
        if resource is None:
            return
        if not any(answer is old for answer in resource.variants.answers):
            return
        if new is None or (new.vary, new.selecting) != (old.vary, old.selecting):
            resource.variants.remove(old.vary, old.selecting)
        if new is not None:
            resource.variants.put(new)
        self._keep(resource, now, frozenset() if new is None else new.tags)

    def _keep(self, resource: Resource, now: float, tags: Iterable[bytes]) -> bool:
        resource.changed()
        answers = resource.variants.answers
        self.pins.changed(resource.key, [answer.body for answer in answers])
        if not answers:
            self.resources.delete(resource.key, now)
            return False
        outcome = self.resources.set(
            resource.key,
            resource,
            now,
            _kept_for_s(answers, now),
            size_bytes=len(resource.key) + resource.variants.size_bytes,
        )
        if outcome is not Outcome.STORED:
            self.pins.changed(resource.key)
            return False
        self._notes.delete(resource.key, now)
        self._tags.add(resource.key, tags)
        return True

    # readers

    def pin(self, key: bytes, body: bytes, now: float) -> Pin:
        """A client begins to read ``body``, most likely one that is stored under ``key``. To be given back with ``pins.drop``."""
        resource = self.resources.peek(key, now)
        stored = resource is not None and any(answer.body is body for answer in resource.variants.answers)
        return self.pins.take(key, body, stored=stored)

    # what is not stored

    def note_uncacheable(self, key: bytes, now: float, *, forbidden: bool = True) -> None:
        """Its answers are not to be stored: for a while, nobody waits for another's (hit-for-miss). ``forbidden``: they said so."""
        self._note(key, self.uncacheable_times(key, now) + 1 if forbidden else 1, now)

    def is_uncacheable(self, key: bytes, now: float) -> bool:
        """Whether that was so a while ago."""
        return bool(len(self._notes)) and self._notes.get(key, now) is not None

    def uncacheable_times(self, key: bytes, now: float) -> int:
        """How often they said so themselves lately, one time after another."""
        return (self._notes.get(key, now) or 0) if len(self._notes) else 0

    def perhaps_cacheable(self, key: bytes, now: float) -> None:
        """Its answers may be otherwise now: the next one is read in full, though nobody waits for it yet."""
        self._note(key, 1, now)

    def _note(self, key: bytes, times: int, now: float) -> None:
        self._notes.set(key, times, now, self._uncacheable_s, size_bytes=len(key) + NOTE_BYTES)

    # getting rid of answers

    def invalidate(self, key: bytes, now: float) -> int:
        """An unsafe request has changed ``key``: what is stored for it must be validated before it is used again (RFC 9111 section 4.4)."""
        self.changes.note(key, now)
        return self._soften([key], now, lambda answer: True)

    def purge(self, key: bytes, now: float, *, soft: bool = False) -> int:
        """Remove what is stored for ``key``, or with ``soft`` have it validated before it is used again; how many answers."""
        self.changes.note(key, now)
        return self._purge([key], now, lambda answer: True, soft=soft)

    def purge_prefix(self, prefix: bytes, now: float, *, soft: bool = False) -> Generator[int, None, None]:
        """The same for all keys that begin with ``prefix``, piece by piece: how many answers each time.

        A key that is there from the beginning to the end of it is purged; one that is written meanwhile may be or not.
        """
        self.changes.note_all(now)
        cursor = 0
        while True:
            cursor, keys = self.resources.scan(cursor, PURGE_PIECE)
            chosen = [key for key in keys if key.startswith(prefix)]
            for at in range(0, max(1, len(chosen)), PURGE_PIECE):
                yield self._purge(chosen[at : at + PURGE_PIECE], now, lambda answer: True, soft=soft)
            if not cursor:
                return

    def purge_tag(self, tag: bytes, now: float, *, soft: bool = False) -> Generator[int, None, None]:
        """The same for all answers that their origin gave ``tag``, piece by piece."""
        self.changes.note_all(now)
        with closing(self._tags.take(tag, PURGE_PIECE, again=soft)) as pieces:
            for keys in pieces:
                yield self._purge(keys, now, lambda answer: tag in answer.tags, soft=soft)

    def clear(self) -> None:
        """Remove everything."""
        for key in self._keys():
            resource = self.resources.get(key, 0.0)
            if resource is not None:
                resource.changed()
        self.resources.clear()
        self.pins.cleared()
        self._notes.clear()
        self._tags.clear()

    def sweep(self, now: float, limit: int) -> int:
        """As ``TTLCache.sweep``; for a ``Sweeper``. Forgets the tags of what is gone, too."""
        self.prepared.sweep(now)
        swept = self.resources.sweep(now, limit)
        self._notes.sweep(now, limit)
        self.changes.sweep(now, limit)

        def good(tag: bytes, key: bytes) -> bool:
            resource = self.resources.peek(key, now)
            return resource is not None and any(tag in answer.tags for answer in resource.variants.answers)

        return limit if self._tags.tidy(good, limit) else swept

    def _keys(self) -> list[bytes]:
        return list(self.resources)

    def _purge(self, keys: Iterable[bytes], now: float, which: Callable[[StoredAnswer], bool], *, soft: bool) -> int:
        if soft:
            purged = self._soften(keys, now, which)
        else:
            purged = 0
            for key in keys:
                resource = self.resources.get(key, now)
                if resource is None:
                    continue
                for answer in resource.variants.answers:
                    if which(answer):
                        resource.variants.remove(answer.vary, answer.selecting)
                        purged += 1
                self._keep(resource, now, ())
        self.counts.purged += purged
        return purged

    def _soften(self, keys: Iterable[bytes], now: float, which: Callable[[StoredAnswer], bool]) -> int:
        softened = 0
        for key in keys:
            resource = self.resources.get(key, now)
            if resource is None:
                continue
            for answer in resource.variants.answers:
                if not which(answer):
                    continue
                softened += 1
                if answer.validators:
                    resource.variants.put(replace(answer, must_validate=True))
                else:
                    # there is nothing to validate it with: it could never be used again
                    resource.variants.remove(answer.vary, answer.selecting)
            self._keep(resource, now, ())
        return softened


def _kept_for_s(answers: Iterable[StoredAnswer], now: float) -> float | None:
    """How long these are of any use: those with validators until they are evicted (None)."""
    longest = 0.0
    for answer in answers:
        if answer.validators:
            return None
        directives = answer.directives
        stale_s = max(directives.stale_while_revalidate or 0, directives.stale_if_error or 0, 0)
        longest = max(longest, answer.fresh_until_s + stale_s - now)
    return longest
