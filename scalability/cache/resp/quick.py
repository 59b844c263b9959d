"""GET, and SET without options, which is nearly all of a cache's traffic, in a few steps each. PURE: they do what ``strings.py`` does.

``Quick.reply`` runs one that was read like any request. ``Quick.answering`` goes further: a client's requests are alike, ``GET`` with a
key of 16 bytes after the other, so what has the shape of the last one (``resp.requests.Shape``) is answered from its bytes, without
being taken apart: in one call instead of three, which is 2,000 instructions of 18,500.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from scalability.cache.resp.commands import Request
from scalability.cache.resp.session import Session
from scalability.cache.resp.values import TOO_LARGE
from scalability.resp import replies
from scalability.resp.requests import Shape
from scalability.ttlcache import Outcome

LARGE: Final = 1024
"""Bytes from which on a reply is counted."""

_HEADS: Final = [b"$%d\r\n" % length for length in range(LARGE)]
_CRLF: Final = b"\r\n"
_OK: Final = replies.OK
_TOO_LARGE = Outcome.TOO_LARGE
"""A name of the module's, as CPython 3.11 has no fast way to a member of an enumeration."""

Answer = Callable[[bytes], bytes | None]
"""The reply to a request of one shape; None to any other bytes."""


def nothing(data: bytes) -> None:
    """Answers nothing: there is no shape, or the session must be looked at."""


class Quick:
    """The quick commands of a session that is plain (``Session.plain``); whoever calls them counts the commands."""

    __slots__ = ("_counts", "_entries", "_get", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._entries = session.entries
        self._get = session.entries.get
        self._counts = session.server.counts

    def reply(self, request: Request, now: float) -> bytes | None:
        """The reply to ``request``; None: it is another command."""
        count = len(request)
        if count == 2 and request[0] == b"GET":
            value = self._get(request[1], now)
            if value is None:
                return self._session.null
            length = len(value)
            return _HEADS[length] + value + _CRLF if length < LARGE else replies.bulk(value)
        if count == 3 and request[0] == b"SET":
            _, key, kept = request
            entries = self._entries
            outcome = entries.cache.put(key, kept, now, inf, len(key) + len(kept))
            entries.changes += 1
            return _OK if outcome is not _TOO_LARGE and not entries.observers else self._unusual_set(key, outcome)
        return None

    def answering(self, shape: Shape) -> Answer:
        """What answers requests of that shape."""
        name = shape.name.upper()
        if name == b"GET" and shape.middle is None:
            return self._getting(shape)
        if name == b"SET" and shape.middle is not None:
            return self._setting(shape)
        return nothing

    def _getting(self, shape: Shape) -> Answer:
        size, before, head, first = shape.length, shape.before, shape.head, shape.first
        session, get, seconds = self._session, self._get, self._entries.now

        def answer(data: bytes) -> bytes | None:
            if len(data) != size or data[before] != head:
                return None
            value = get(data[first], seconds())
            if value is None:
                return session.null
            length = len(value)
            return _HEADS[length] + value + _CRLF if length < LARGE else replies.bulk(value)

        return answer

    def _setting(self, shape: Shape) -> Answer:
        size, before, head, between, middle = shape.length, shape.before, shape.head, shape.between, shape.middle
        first, second = shape.first, shape.second
        entries, put, seconds, unusual = self._entries, self._entries.cache.put, self._entries.now, self._unusual_set

        def answer(data: bytes) -> bytes | None:
            if len(data) != size or data[before] != head or data[between] != middle:
                return None
            key, value = data[first], data[second]
            outcome = put(key, value, seconds(), inf, len(key) + len(value))
            entries.changes += 1
            return _OK if outcome is not _TOO_LARGE and not entries.observers else unusual(key, outcome)

        return answer

    def _unusual_set(self, key: bytes, outcome: Outcome) -> bytes:
        entries = self._entries
        if entries.observers:
            entries.changed(key, self._session)
        if outcome is not _TOO_LARGE:
            return replies.OK
        self._counts.errors += 1
        return replies.error(TOO_LARGE.encode())
