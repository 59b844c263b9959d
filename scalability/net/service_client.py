"""Requests to our own services and to servers behind us, when the whole answer is wanted: the gateway's calls, health probes.

One request is one Deferred and about 20 us of CPU, coroutine included; treq costs ten times that, and buffers without a limit.
"""

import re
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail

from scalability.config import Address
from scalability.errors import (
    AnswerTimeout,
    BadAnswer,
    ConnectError,
    ConnectTimeout,
    NoAnswer,
    Overloaded,
    UpstreamError,
)
from scalability.http1.fields import Field
from scalability.http1.response_head import ResponseHead
from scalability.lifecycle import Deadline, DeadlineWheel
from scalability.net.client_connection import ClientConnection
from scalability.net.connection_attempt import Opening, Secure
from scalability.net.connection_pool import ConnectionPool

IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"))
"""RFC 9110 section 9.2.2."""

_REQUEST = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ (?:/[!-\"$-~]*|\*)")


class Answer:
    """A complete answer. ``fields`` are (name as received, value)."""

    __slots__ = ("_head", "body")

    def __init__(self, head: ResponseHead, body: bytes) -> None:
        self._head = head
        self.body = body

    @property
    def status(self) -> int:
        return self._head.status

    @property
    def fields(self) -> tuple[Field, ...]:
        return self._head.fields

    def get(self, name: bytes) -> bytes | None:
        """The first value of the field with the lower-case ``name``, or None."""
        return self._head.get(name)

    def __repr__(self) -> str:
        return f"<Answer {self.status}, {len(self.body)} bytes>"


class ServiceClient:
    """Talks to the service at ``address`` over kept-alive connections.

    ``timeout_s`` bounds a whole request, connecting included, rounded up to the wheel's tick; ``wheel`` must be running (it is
    a service: add it below the client's user). Answers above ``max_body_bytes`` are BadAnswer. At most ``max_in_flight`` requests
    run at once; one more fails with Overloaded. ``secure`` makes them TLS (``ConnectionPool``); ``host`` is sent as Host instead of
    the address. ``preface`` is what each connection begins with.
    """

    def __init__(
        self,
        reactor: Any,
        address: Address,
        wheel: DeadlineWheel,
        *,
        timeout_s: float = 5.0,
        connect_timeout_s: float = 3.0,
        max_body_bytes: int = 1 << 20,
        max_in_flight: int = 1024,
        idle_s: float = 4.0,
        max_idle: int = 32,
        secure: Secure | None = None,
        host: str = "",
        preface: bytes = b"",
    ) -> None:
        self.address = address
        self.pool = ConnectionPool(
            reactor,
            address,
            wheel,
            connect_timeout_s=min(connect_timeout_s, timeout_s),
            idle_s=idle_s,
            max_idle=max_idle,
            secure=secure,
            preface=preface,
        )
        self.max_body_bytes = max_body_bytes
        self.in_flight: set[_Call] = set()
        self._wheel = wheel
        self._timeout_s = timeout_s
        self._max_in_flight = max_in_flight
        self._start = b" HTTP/1.1\r\nHost: " + (host or str(address)).encode() + b"\r\n"

    def request(
        self,
        method: bytes,
        target: bytes,
        fields: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        *,
        timeout_s: float | None = None,
    ) -> Deferred[Answer]:
        """Send a request; fires with the Answer, whatever its status.

        Fails with ConnectError, ConnectTimeout, NoAnswer, BadAnswer, BrokenAnswer, AnswerTimeout or Overloaded. A kept-alive
        connection that dies before any byte of the answer is replaced by a fresh one, once, if ``method`` is idempotent. Cancelling
        closes the connection. ``fields`` are sent besides Host and Content-Length. Raises ValueError when ``method``,
        ``target`` or ``fields`` cannot stand in a request.
        """
        if self.pool.closed:
            return fail(ConnectError("This client is closed."))
        if len(self.in_flight) >= self._max_in_flight:
            return fail(Overloaded())
        if _REQUEST.fullmatch(start := method + b" " + target) is None:
            raise ValueError(f"{start!r} cannot stand in a request line")
        parts = [start, self._start]
        for name, value in fields:
            line = name + b": " + value
            if b"\r" in line or b"\n" in line or b"\0" in line or not name:
                raise ValueError(f"{line!r} cannot stand in a head")
            parts += line, b"\r\n"
        if body or method in (b"POST", b"PUT", b"PATCH"):
            parts.append(b"Content-Length: %d\r\n\r\n" % len(body))
            parts.append(body)
        else:
            parts.append(b"\r\n")
        call = _Call(self, method, b"".join(parts))
        self.in_flight.add(call)
        call.begin(self._wheel.after(self._timeout_s if timeout_s is None else timeout_s, call.timed_out))
        return call.deferred

    def close(self) -> None:
        """Close idle connections and fail what is in flight with NoAnswer. Harmless when done twice."""
        self.pool.close()
        for call in list(self.in_flight):
            call.give_up(NoAnswer("This client was closed."))


class _Call:
    """One request in flight: an AnswerReceiver and a ConnectReceiver."""

    __slots__ = (
        "_chunks",
        "_client",
        "_connection",
        "_deadline",
        "_head",
        "_method",
        "_opening",
        "_request",
        "_reused",
        "_size",
        "deferred",
    )

    def __init__(self, client: ServiceClient, method: bytes, request: bytes) -> None:
        self._client = client
        self._method = method
        self._request = request
        self._connection: ClientConnection | None = None
        self._opening: Opening | None = None
        self._deadline: Deadline | None = None
        self._head: ResponseHead | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._reused = False
        self.deferred: Deferred[Answer] = Deferred(self._cancelled)

    def begin(self, deadline: Deadline) -> None:
        self._deadline = deadline
        connection = self._client.pool.take()
        if connection is not None:
            self._reused = True
            self.connected(connection)
        else:
            self._opening = self._client.pool.open(self)

    def timed_out(self) -> None:
        if self._connection is None:
            self.give_up(ConnectTimeout())
        else:
            self.give_up(AnswerTimeout())

    def give_up(self, error: UpstreamError) -> None:
        self._stop()
        self.deferred.errback(error)

    def _cancelled(self, _: "Deferred[Answer]") -> None:
        self._stop()

    def _stop(self) -> None:
        self._client.in_flight.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    # ConnectReceiver

    def connected(self, connection: ClientConnection) -> None:
        self._opening = None
        self._connection = connection
        connection.send(self._request, self._method, self)

    def connect_failed(self, error: ConnectError | ConnectTimeout) -> None:
        self._opening = None
        self.give_up(error)

    # AnswerReceiver

    def answer_interim(self, head: ResponseHead) -> None:
        """Nothing was asked that an interim answer could change."""

    def answer_received(self, head: ResponseHead, data: bytes, ended: bool) -> None:
        self._head = head
        self.answer_data(data, ended)

    def answer_data(self, data: bytes, ended: bool) -> None:
        self._size += len(data)
        if self._size > self._client.max_body_bytes:
            if ended:
                self._connection = None
            self.give_up(BadAnswer("A server behind this one sent a larger answer than can be used."))
            return
        if ended:
            if self._chunks:
                self._chunks.append(data)
                data = b"".join(self._chunks)
            self._connection = None
            self._client.in_flight.discard(self)
            assert self._deadline is not None
            assert self._head is not None
            self._deadline.cancel()
            self.deferred.callback(Answer(self._head, data))
        elif data:
            self._chunks.append(data)

    def answer_failed(self, error: UpstreamError) -> None:
        self._connection = None
        if self._reused and isinstance(error, NoAnswer) and self._method in IDEMPOTENT and not self._client.pool.closed:
            # it was closed by the server while it lay idle, most likely: a fresh one tells
            self._reused = False
            self._opening = self._client.pool.open(self)
            return
        self.give_up(error)

    def upload_paused(self) -> None:
        """The whole request was handed over at once."""

    def upload_resumed(self) -> None:
        """Nothing more is to come."""
