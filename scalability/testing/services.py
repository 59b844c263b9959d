"""A service that a test plays itself: it sees every request and answers when and as it likes."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from scalability.http1 import Limits, parse_response_head
from scalability.net.service_client import Answer


def answer(status: int = 200, body: Any = None, fields: Sequence[tuple[bytes, bytes]] = ()) -> Answer:
    """An answer with ``body`` as JSON (bytes stay as they are)."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    lines = [b"HTTP/1.1 %d X" % status, b"Content-Type: application/json", b"Content-Length: %d" % len(content)]
    lines += [name + b": " + value for name, value in fields]
    return Answer(parse_response_head(b"\r\n".join(lines) + b"\r\n\r\n", Limits()), content)


class Asked:
    """One request that came in."""

    def __init__(self, method: bytes, target: bytes, fields: Sequence[tuple[bytes, bytes]], body: bytes, timeout_s: float | None) -> None:
        self.method = method
        self.target = target
        self.fields = tuple(fields)
        self.body = body
        self.timeout_s = timeout_s
        self.cancelled = False
        self.waiting: Deferred[Answer] = Deferred(self._cancel)

    def _cancel(self, _: object) -> None:
        self.cancelled = True

    def answer(self, status: int = 200, body: Any = None, fields: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Answer it now."""
        self.waiting.callback(answer(status, body, fields))

    def fail(self, error: Exception) -> None:
        """Fail it now."""
        self.waiting.errback(error)


class FakeService:
    """Has the shape of ``net``'s ServiceClient.

    ``always`` gives the answer, or the failure, of each request at once; without it requests wait in ``open``.
    """

    def __init__(self, always: Callable[[Asked], Answer | Exception] | None = None) -> None:
        self.always = always
        self.asked: list[Asked] = []
        self.closed = False

    @property
    def open(self) -> list[Asked]:
        """Requests without an answer yet, oldest first."""
        return [asked for asked in self.asked if not asked.waiting.called]

    def request(
        self,
        method: bytes,
        target: bytes,
        fields: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        *,
        timeout_s: float | None = None,
    ) -> Deferred[Answer]:
        """As ServiceClient's."""
        asked = Asked(method, target, fields, body, timeout_s)
        self.asked.append(asked)
        if self.always is not None:
            result = self.always(asked)
            if isinstance(result, Answer):
                asked.waiting.callback(result)
            else:
                asked.waiting.errback(result)
        return asked.waiting

    def close(self) -> None:
        """As ServiceClient's."""
        self.closed = True
