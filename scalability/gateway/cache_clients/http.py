"""``http://HOST:PORT``: the look-aside cache in the cache server, over its HTTP."""

from urllib.parse import quote

import msgspec
from twisted.internet.defer import Deferred

from scalability.errors import BadAnswer
from scalability.gateway.cache_clients.interface import Kept
from scalability.gateway.dependencies import Dependency
from scalability.net.service_client import Answer

REMAINING = b"cache-ttl"
"""The field in which the cache server tells how many seconds the value that it answers will still be kept for."""

JSON_FIELDS = ((b"Content-Type", b"application/json"),)


class _Read(msgspec.Struct):
    value: msgspec.Raw


class HTTPCache:
    """Shared by all gateways that name the same server."""

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
