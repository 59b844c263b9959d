"""The look-aside cache as the gateway sees it: values are JSON text, keys are text. One class a kind of URL.

JSON's null is a value like others: it says that there is nothing, where a missing key says that nobody knows.
"""

from typing import NamedTuple, Protocol
from urllib.parse import quote

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from scalability.errors import BadAnswer
from scalability.gateway.dependencies import Dependency
from scalability.net.service_client import Answer
from scalability.ttlcache import Outcome, TTLCache

REMAINING = b"cache-ttl"
"""The field in which the cache server tells how many seconds the value that it answers will still be kept for."""

JSON_FIELDS = ((b"Content-Type", b"application/json"),)


class Kept(NamedTuple):
    """A value, and the seconds that it will still be kept for; None where the cache does not tell."""

    value: bytes
    remaining_s: float | None


class LookAsideCache(Protocol):
    """Each call fails with a ScalelabError when the cache cannot be asked."""

    async def get(self, key: str) -> Kept | None:
        """What is kept for ``key``, or None."""

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """Keep the JSON text ``value`` for ``ttl_s`` seconds."""

    async def claim(self, key: str, ttl_s: float) -> bool:
        """Have ``key`` for ``ttl_s`` seconds, if nobody has it; whether it is ours now. All who share the cache see the same."""

    async def delete(self, key: str) -> None:
        """Keep nothing for ``key``, whatever it was."""


class _Read(msgspec.Struct):
    value: msgspec.Raw


class HTTPCache:
    """``http://HOST:PORT``: the cache server, shared by all gateways that name it."""

    def __init__(self, server: Dependency) -> None:
        self._server = server
        self._decode = msgspec.json.Decoder(_Read).decode

    async def get(self, key: str) -> Kept | None:
        """One GET."""
        answer = _expect_200(await self._server.request(b"GET", _target(key)))
        try:
            value = bytes(self._decode(answer.body).value)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadAnswer("the cache's answer cannot be read") from error
        remaining_s = _seconds(answer.get(REMAINING))
        # a cache that does not tell how long a null is kept has none
        return None if value == b"null" and remaining_s is None else Kept(value, remaining_s)

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """One POST."""
        _expect_200(await self._post(key, b'{"value":%b,"ttl":%b}' % (value, repr(ttl_s).encode())))

    async def claim(self, key: str, ttl_s: float) -> bool:
        """One POST with ``if_absent``; 409 says that somebody else has it."""
        answer = await self._post(key, b'{"value":1,"ttl":%b,"if_absent":true}' % repr(ttl_s).encode())
        return answer.status != 409 and _expect_200(answer) is answer

    async def delete(self, key: str) -> None:
        """One DELETE."""
        _expect_200(await self._server.request(b"DELETE", _target(key)))

    def _post(self, key: str, body: bytes) -> Deferred[Answer]:
        return self._server.request(b"POST", _target(key), JSON_FIELDS, body)


class MemoryCache:
    """``memory:``: this process's own. Every gateway then reads the database for itself."""

    def __init__(self, cache: TTLCache[str, bytes], clock: IReactorTime) -> None:
        self._cache = cache
        self._clock = clock

    async def get(self, key: str) -> Kept | None:
        """From memory, at once."""
        now = self._clock.seconds()
        value = self._cache.get(key, now)
        expires_at = self._cache.expires_at(key, now)
        return None if value is None or expires_at is None else Kept(value, expires_at - now)

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """Into memory, at once. What is too large is not kept."""
        self._cache.set(key, value, self._clock.seconds(), ttl_s, size_bytes=len(key) + len(value))

    async def claim(self, key: str, ttl_s: float) -> bool:
        """Among those who share this object."""
        outcome = self._cache.set(key, b"1", self._clock.seconds(), ttl_s, size_bytes=len(key) + 1, if_absent=True)
        return outcome is not Outcome.EXISTS

    async def delete(self, key: str) -> None:
        """From memory, at once."""
        self._cache.delete(key, self._clock.seconds())


def _target(key: str) -> bytes:
    return b"/cache/" + quote(key, safe="").encode()


def _expect_200(answer: Answer) -> Answer:
    if answer.status != 200:
        raise BadAnswer(f"the cache answered {answer.status}")
    return answer


def _seconds(field: bytes | None) -> float | None:
    """A number of seconds; None for what is none: then nothing is known, and nothing is kept because of it."""
    try:
        seconds = float(field or b"nan")
    except ValueError:
        return None
    return seconds if seconds >= 0 else None
