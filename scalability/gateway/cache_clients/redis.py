"""``redis://``: the look-aside cache in Redis, Valkey or the cache server's own RESP port.

A key is the same entry over HTTP and over RESP. Values are JSON text; what somebody else has put there and is none is a failure.

Changes are told in tracking's default mode: the server remembers which keys this connection has read, and tells of each once. (BCAST
would tell every gateway of every key, of the leases and rate limits that others keep on the server, too.) NOLOOP spares us the news of
our own writes; but then a write takes the key off the server's list without a word, so that it is followed by a read in the same
transaction: who changes the key after that is told of.
"""

from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.errors import BadAnswer, CommandRefused, ScalelabError
from scalability.gateway.cache_clients.changes import Changes
from scalability.gateway.cache_clients.interface import Kept
from scalability.gateway.cache_clients.redis_server import RedisServer

INVALIDATE = b"invalidate"


class RedisCache:
    """Shared by all who name the same server and database. Whether copies are watched is told to ``changes``."""

    def __init__(self, server: RedisServer, changes: Changes) -> None:
        self._server = server
        self._changes = changes
        self._decode = msgspec.json.Decoder(msgspec.Raw).decode
        server.client.listener = Tracking(changes)

    async def get(self, key: str) -> Kept | None:
        """GET and PTTL, in one round trip."""
        name = key_bytes(key)
        value, remaining_ms = await self._all(("GET", name), ("PTTL", name))
        if value is None or remaining_ms == -2:  # the second says that its time was over between the two
            return None
        if not isinstance(value, bytes) or not isinstance(remaining_ms, int):
            raise BadAnswer("the cache's answer cannot be read")
        try:
            value = bytes(self._decode(value))
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadAnswer("the cache's answer cannot be read") from error
        return Kept(value, float("inf") if remaining_ms < 0 else remaining_ms / 1000)

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """SET PX, and while changes are told a read that has the key watched."""
        name = key_bytes(key)
        command = ("SET", name, value, "PX", milliseconds(ttl_s))
        if self._changes.watching:
            *_, done = await self._all(("MULTI",), command, ("PTTL", name), ("EXEC",))
            if not isinstance(done, list) or not done:
                raise BadAnswer("the cache did not take a value")
            _raise_first(done)
        else:
            await self._server.call(*command)

    async def claim(self, key: str, ttl_s: float) -> bool:
        """SET NX PX."""
        return await self._server.call("SET", key_bytes(key), 1, "NX", "PX", milliseconds(ttl_s)) is not None

    async def delete(self, key: str) -> None:
        """DEL."""
        await self._server.call("DEL", key_bytes(key))

    async def _all(self, *commands: tuple[Any, ...]) -> list[Any]:
        replies = await self._server.pipeline(*commands)
        _raise_first(replies)
        return replies


class Tracking:
    """Has a client's reads watched, and hears of changes. Without RESP3, or where the server does not know how, nothing begins."""

    log = Logger()

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._asked: Deferred[Any] | None = None

    def connected(self, client: Any) -> None:
        """A new connection."""
        if not client.resp3:
            self._not_on("it does not speak RESP3")
            return
        asked = self._asked = client.call("CLIENT", "TRACKING", "ON", "NOLOOP")
        asked.addCallbacks(self._on, self._refused, callbackArgs=(asked,))

    def lost(self) -> None:
        """The connection is gone."""
        self._asked = None
        self._changes.lost()

    def pushed(self, message: list[Any]) -> None:
        """``invalidate`` with keys, or with null for all of them."""
        if len(message) != 2 or message[0] != INVALIDATE:
            return
        if message[1] is None:
            self._changes.all_changed()
        else:
            self._changes.changed([name for key in message[1] if (name := _key_of(key)) is not None])

    def _on(self, _: Any, asked: Deferred[Any]) -> None:
        if asked is self._asked:
            self._changes.began()

    def _refused(self, failure: Failure) -> None:
        failure.trap(ScalelabError)
        if isinstance(failure.value, CommandRefused):
            self._not_on(failure.value.reply)

    def _not_on(self, why: str) -> None:
        self.log.info("the cache does not tell of changes: {why}; values are kept near for --near-ttl only", why=why)


def key_bytes(key: str) -> bytes:
    """``key`` on the server: its UTF-8. A lone surrogate, which has none, is written as its code point all the same."""
    return key.encode("utf-8", "surrogatepass")


def milliseconds(seconds: float) -> int:
    """For PX, which takes whole ones above 0."""
    return max(1, round(seconds * 1000))


def _key_of(name: bytes) -> str | None:
    try:
        return name.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None  # none of ours


def _raise_first(replies: list[Any]) -> None:
    for reply in replies:
        if isinstance(reply, ScalelabError):
            raise reply
