"""Removing all keys that begin alike: ``DELETE /cache?prefix=PREFIX`` -> ``{"status": "ok", "deleted": 12}``.

The keys are gone through in pieces, and between two of them the reactor serves whoever waits, so that a million keys hold it for
no longer than a millisecond at a time. A key that is there from the beginning to the end of it and begins so is removed;
one that is written meanwhile may be removed or not. A client that leaves ends it: what was removed by then stays so.
"""

from collections.abc import Callable
from typing import Final, Protocol
from urllib.parse import unquote_to_bytes

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.web.iweb import IRequest

from scalability.api.json import json_answer
from scalability.errors import ClientError
from scalability.lifecycle.places import Places

PIECE: Final = 500
"""Keys that are looked at, and perhaps removed, in one turn of the reactor: 0.1 to 1 ms."""
PAUSE_S: Final = 0.001
"""Between two pieces: purging takes about half of the reactor's time while others want it."""
AT_ONCE: Final = 2
"""Purges that go on side by side."""
WAITING: Final = 16
"""Purges that wait for one of these to end; one more is answered 503."""


class Purged(Protocol):
    """What has the keys. Times are of the clock that they end by."""

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]: ...

    def delete(self, key: bytes, now: float) -> bool: ...


def add_purging(app: Klein, cache: Purged, clock: IReactorTime, now: Callable[[], float]) -> None:
    """Give ``app`` the call. ``clock`` times the pauses; ``now`` is the clock that keys end by."""
    places = Places(AT_ONCE, WAITING)

    @app.route("/cache", methods=["DELETE"])
    def purge(request: IRequest) -> Deferred[bytes]:
        prefix = _prefix(request)
        return places.run(lambda: Deferred.fromCoroutine(purged(cache, prefix, clock, now))).addCallback(
            lambda deleted: json_answer(request, {"status": "ok", "deleted": deleted})
        )


async def purged(cache: Purged, prefix: bytes, clock: IReactorTime, now: Callable[[], float]) -> int:
    """Remove the keys that begin with ``prefix``; how many those were. Both clocks as above."""
    deleted = cursor = 0
    while True:
        cursor, keys = cache.scan(cursor, PIECE)
        moment = now()
        for key in keys:
            if key.startswith(prefix) and cache.delete(key, moment):
                deleted += 1
        if not cursor:
            return deleted
        await deferLater(clock, PAUSE_S)


def _prefix(request: IRequest) -> bytes:
    """What the query says. Raises ClientError: nobody means to remove everything by forgetting a word."""
    said = [pair.partition(b"=") for pair in request.uri.partition(b"?")[2].split(b"&") if pair]
    if len(said) != 1 or said[0][0] != b"prefix" or not said[0][1]:
        raise ClientError("say which keys: DELETE /cache?prefix=PREFIX, percent-encoded; an empty prefix means all keys")
    # as in a path, and not as in a form, + is a plus
    return unquote_to_bytes(said[0][2])
