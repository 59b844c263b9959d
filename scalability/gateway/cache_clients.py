"""The look-aside cache as the gateway sees it: values are JSON text, keys are text. One class a kind of URL."""

from typing import Protocol
from urllib.parse import quote

import msgspec
from twisted.internet.interfaces import IReactorTime

from scalability.errors import BadAnswer
from scalability.gateway.dependencies import Dependency
from scalability.net.service_client import Answer
from scalability.ttlcache import TTLCache

JSON_FIELDS = ((b"Content-Type", b"application/json"),)


class LookAsideCache(Protocol):
    """``get`` and ``set`` fail with a ScalelabError when the cache cannot be asked."""

    async def get(self, key: str) -> bytes | None:
        """The JSON text kept for ``key``, or None."""

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """Keep the JSON text ``value`` for ``ttl_s`` seconds."""


class _Read(msgspec.Struct):
    value: msgspec.Raw


class HTTPCache:
    """``http://HOST:PORT``: the cache server, shared by all gateways that name it."""

    def __init__(self, server: Dependency) -> None:
        self._server = server
        self._decode = msgspec.json.Decoder(_Read).decode

    async def get(self, key: str) -> bytes | None:
        """One GET; JSON's null is as good as nothing."""
        answer = _expect_200(await self._server.request(b"GET", _target(key)))
        try:
            value = bytes(self._decode(answer.body).value)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadAnswer("the cache's answer cannot be read") from error
        return None if value == b"null" else value

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """One POST."""
        body = b'{"value":%b,"ttl":%b}' % (value, repr(ttl_s).encode())
        _expect_200(await self._server.request(b"POST", _target(key), JSON_FIELDS, body))


class MemoryCache:
    """``memory:``: this process's own. Every gateway then reads the database for itself."""

    def __init__(self, cache: TTLCache[str, bytes], clock: IReactorTime) -> None:
        self._cache = cache
        self._clock = clock

    async def get(self, key: str) -> bytes | None:
        """From memory, at once."""
        return self._cache.get(key, self._clock.seconds())

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """Into memory, at once. What is too large is not kept."""
        self._cache.set(key, value, self._clock.seconds(), ttl_s, size_bytes=len(key) + len(value))


def _target(key: str) -> bytes:
    return b"/cache/" + quote(key, safe="").encode()


def _expect_200(answer: Answer) -> Answer:
    if answer.status != 200:
        raise BadAnswer(f"the cache answered {answer.status}")
    return answer
