"""What ``/data`` is: where its value is read, and what is answered with it, whichever way a request has come."""

from typing import Final

import msgspec

from scalability.errors import BadAnswer, DependencyDown, UpstreamError
from scalability.gateway.dependencies import Dependency
from scalability.gateway.look_aside import Found, Origin
from scalability.net.service_client import Answer

DATA_KEY: Final = "data"
"""The key of ``/data`` in the look-aside cache."""

DATA_PATH: Final = b"/data"

_BODIES: Final = {
    Origin.HIT: b'{"cached":true,"data":%b}',
    Origin.LOADED: b'{"cached":false,"data":%b}',
    Origin.STALE: b'{"cached":true,"data":%b,"stale":true}',
}


class _Row(msgspec.Struct):
    message: msgspec.Raw


class DataSource:
    """Reads the value of ``/data`` from the database service."""

    def __init__(self, database: Dependency) -> None:
        self._database = database
        self._decode = msgspec.json.Decoder(_Row).decode

    async def load(self) -> bytes:
        """The row's message, as JSON text. Raises DependencyDown or BadAnswer."""
        try:
            answer = await self._database.request(b"GET", b"/db")
        except UpstreamError as error:
            raise DependencyDown("the database does not answer; try again later") from error
        if answer.status != 200:
            raise DependencyDown("the database cannot answer now; try again later", retry_after_s=_retry_after_s(answer))
        try:
            return bytes(self._decode(answer.body).message)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadAnswer("the database's answer cannot be read") from error


def data_body(found: Found) -> bytes:
    """The body of the answer."""
    return _BODIES[found.origin] % found.value


def _retry_after_s(answer: Answer) -> int | None:
    value = answer.get(b"retry-after") or b""
    return min(int(value), 3600) if value.isdigit() and len(value) < 9 else None
