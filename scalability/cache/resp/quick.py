"""GET, and SET without options, which is nearly all of a cache's traffic, in a few steps each. PURE: they do what ``strings.py`` does.

``Quick.reply`` runs one that was read like any request. ``Quick.answering`` goes further and answers from the bytes that came, when they
are one request, without taking them apart: where the key of a GET stands, its length tells; where a SET's key and value stand, the
client's last SET, if this one has its shape (``resp.requests.Shape``). That is one call from the socket to the engine instead of five.
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

MAX_KEY_BYTES: Final = 256
"""Longer keys are for ``reply``."""

_HEADS: Final = [b"$%d\r\n" % length for length in range(LARGE)]
_CRLF: Final = b"\r\n"
_OK: Final = replies.OK
_TOO_LARGE = Outcome.TOO_LARGE
"""A name of the module's, as CPython 3.11 has no fast way to a member of an enumeration."""

_KEY: Final = slice(-2)
"""Of what follows the head."""


def heads_of(name: bytes) -> list[bytes]:
    """What stands before the key of a GET, by the length of the request, whose name is so written; where none is, more
    than the request, which begins with no such thing."""
    keys = range(MAX_KEY_BYTES + 1)
    heads = {len(head) + key + 2: head for key in keys if (head := b"*2\r\n$3\r\n%b\r\n$%d\r\n" % (name, key))}
    return [heads.get(length, bytes(length + 1)) for length in range(max(heads) + 1)]


_GET_HEADS: Final = {name: heads_of(name) for name in (b"GET", b"get")}

MAX_GET_BYTES: Final = len(_GET_HEADS[b"GET"]) - 1
"""Of a GET that is answered by what ``answering`` makes."""

Received = Callable[[bytes], bytes | None]
"""Takes what has come; what is to be written now, or None."""

Send = Callable[[list[bytes]], None]


class Quick:
    """The quick commands of a session that is plain (``Session.plain``)."""

    __slots__ = ("_counts", "_entries", "_get", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._entries = session.entries
        self._get = session.entries.get
        self._counts = session.server.counts

    def reply(self, request: Request, now: float) -> bytes | None:
        """The reply to ``request``, which the caller counts; None: it is another command."""
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

    def answering(self, shape: Shape, otherwise: Received, send: Send) -> Received:
        """What counts and answers a GET, and a SET of that shape; all other bytes it hands to ``otherwise``, a large reply to ``send``.

        Whether GET is written in small letters the shape tells, if it is one's."""
        getting = self._getting(_GET_HEADS.get(shape.name, _GET_HEADS[b"GET"]), otherwise, send)
        return self._setting(shape, getting) if shape.middle is not None and shape.name.upper() == b"SET" else getting

    def _getting(self, heads: list[bytes], otherwise: Received, send: Send) -> Received:
        most = len(heads)
        session, get, seconds, counts = self._session, self._get, self._entries.now, self._counts

        def received(data: bytes) -> bytes | None:
            size = len(data)
            if size < most:
                rest = data.removeprefix(heads[size])
                if rest is not data:
                    counts.commands += 1
                    value = get(rest[_KEY], seconds())
                    if value is None:
                        return session.null
                    length = len(value)
                    if length < LARGE:
                        return _HEADS[length] + value + _CRLF
                    send([replies.bulk(value)])
                    return None
            return otherwise(data)

        return received

    def _setting(self, shape: Shape, otherwise: Received) -> Received:
        size, head, middle = shape.length, shape.head, shape.middle
        # of what follows the head
        end, begin = shape.between.start - len(head), shape.between.stop - len(head)
        first, between, second = slice(end), slice(end, begin), slice(begin, -2)
        kept_bytes = end + size - 2 - shape.between.stop
        entries, put, seconds, unusual = self._entries, self._entries.cache.put, self._entries.now, self._unusual_set
        counts = self._counts

        def received(data: bytes) -> bytes | None:
            if len(data) != size:
                return otherwise(data)
            rest = data.removeprefix(head)
            if rest is data or rest[between] != middle:
                return otherwise(data)
            counts.commands += 1
            key, value = rest[first], rest[second]
            outcome = put(key, value, seconds(), inf, kept_bytes)
            entries.changes += 1
            return _OK if outcome is not _TOO_LARGE and not entries.observers else unusual(key, outcome)

        return received

    def _unusual_set(self, key: bytes, outcome: Outcome) -> bytes:
        entries = self._entries
        if entries.observers:
            entries.changed(key, self._session)
        if outcome is not _TOO_LARGE:
            return replies.OK
        self._counts.errors += 1
        return replies.error(TOO_LARGE.encode())
