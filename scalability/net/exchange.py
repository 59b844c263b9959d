"""One request and its answer, between a connection of the HTTP server and the application that it serves.

The application is told once of each request, with its head, and answers through the ``Exchange``; who wants the body, or to know what
becomes of the client, is the exchange's ``Receiver``. No Deferred, closure or delayed call is made on this path.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from scalability.errors import BadMessage, BodyTooLarge, ScalelabError
from scalability.http1.answer import simple_answer
from scalability.http1.fields import Field
from scalability.http1.request_head import RequestHead
from scalability.net.failures import error_answer

if TYPE_CHECKING:
    from scalability.net.server_connection import ServerConnection


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Receiver(Protocol):
    """Whoever serves an exchange: told about the rest of the request's body, and about the client."""

    def body_received(self, data: bytes, ended: bool) -> None:
        """More of the request's body, in order; ``ended``: that was all (``data`` may be empty then)."""

    def client_lost(self, error: ScalelabError) -> None:
        """The exchange is over without a complete answer: the client has gone, broke the framing, or was too slow. Send nothing more."""

    def client_full(self) -> None:
        """More than 64 KiB of the answer wait for the client: stop writing."""

    def client_ready(self) -> None:
        """All of it is sent: go on."""


class TunnelReceiver(Receiver, Protocol):
    """Whoever has a tunnel: ``body_received`` is given whatever the client sends, never ``ended``."""

    def client_finished(self) -> None:
        """The client has sent its FIN, and may still read."""


class Application(Protocol):
    """What a server serves."""

    def request_received(self, exchange: "Exchange") -> None:
        """Answer ``exchange``, now or later. If ``exchange.body_complete`` is False, ``exchange.receiver`` must be set before returning."""


class Exchange:
    """One request and its answer.

    The answer is either complete, ``reply`` (bytes) or ``answer`` (parts), or ``begin``, any number of ``write``, ``finish``.
    When the client is lost, what is still written is dropped.
    """

    # slots, and no defaults in the class: with those CPython 3.11 gives up its fast ways to read and write an attribute
    __slots__ = (
        "__weakref__",
        "began_s",
        "begun",
        "body",
        "body_complete",
        "client_host",
        "connection",
        "head",
        "receiver",
        "request_id",
        "sent_bytes",
        "served_by",
        "status",
        "trailers",
        "trouble",
    )

    def __init__(self, connection: "ServerConnection", head: RequestHead, began_s: float) -> None:
        self.connection = connection
        """Its ``memory`` may hold what the application wants to know of the client's next request."""
        self.head = head
        self.began_s = began_s
        self.body = b""
        """The part of the request's body that came along with the head; the rest goes to ``receiver``."""
        self.body_complete = True
        """Whether all of the body has arrived (been given out)."""
        self.trailers: tuple[Field, ...] = ()
        """The trailer section of a chunked body, once complete."""
        self.receiver: Receiver | None = None
        self.begun = False
        """Whether the answer has."""
        self.status = 0
        """Of the answer, once begun."""
        self.sent_bytes = 0
        """Of the answer, head and framing included."""
        self.served_by = ""
        """The name of the server behind us that answered, for the access log."""
        self.client_host = b""
        """The client's address where a trusted proxy in front of us told it; else empty, and ``peer_host`` is the client."""
        self.request_id = b""
        """The request's name, if it has got one: every answer says it, as X-Request-Id."""
        self.trouble = ""
        """The code of the error that this exchange ended with, for the access log."""

    @property
    def peer_host(self) -> bytes:
        """The client's address, as text."""
        return self.connection.peer_host

    @property
    def scheme(self) -> bytes:
        """http or https, as the client connected."""
        return self.connection.scheme

    @property
    def keep_alive(self) -> bool:
        """Whether the answer's head, if it were sent now, may let the connection go on. Not while the request's body is still arriving."""
        return self.head.keep_alive and self.body_complete and not self.connection.factory.draining

    def send_continue(self) -> None:
        """Tell a client that waits for it (``Expect: 100-continue``) to send the body."""
        if self.head.expect_continue and not self.begun and not self.body_complete:
            self.connection.send(self, CONTINUE)

    def send_interim(self, block: bytes) -> None:
        """Send a complete 1xx head."""
        if not self.begun:
            self.connection.send(self, block)

    def begin(self, status: int, block: bytes, *, keep_alive: bool) -> None:
        """Send the answer's complete head, and perhaps the beginning of its body with it; ``keep_alive`` is what that head says."""
        self._start(status, keep_alive)
        self.sent_bytes = len(block)
        self.connection.send(self, block)

    def write(self, data: bytes) -> None:
        """Send more of the body, framed as the head says."""
        self.sent_bytes += len(data)
        self.connection.send(self, data)

    def finish(self, data: bytes = b"") -> None:
        """Send ``data``, the last bytes of the body if there are any; the exchange is over."""
        if data:
            self.sent_bytes += len(data)
            self.connection.send(self, data)
        self.connection.exchange_ended(self)

    def reply(self, status: int, block: bytes, keep_alive: bool) -> None:
        """``begin`` and ``finish`` in one write: ``block`` is head and body. The cheapest answer; without keywords even more so."""
        if self.begun:
            raise RuntimeError("this exchange is answered already")
        self.begun = True
        self.status = status
        self.sent_bytes = len(block)
        self.connection.replied(self, block, keep_alive)

    def switch(self, block: bytes, receiver: TunnelReceiver) -> None:
        """Answer with ``block``, a complete 101 head and perhaps the first bytes behind it; from now on the connection is a tunnel.

        Only for a request without a body. ``write``, ``half_close`` and ``finish`` are for the client; ``receiver`` keeps the idle limit.
        """
        if not self.body_complete:
            raise RuntimeError("a request whose body is still arriving cannot become a tunnel")
        self.begin(101, block, keep_alive=False)
        self.receiver = receiver
        self.connection.enter_tunnel(self, receiver)

    def half_close(self) -> bool:
        """In a tunnel: send what is queued, then a FIN, and read on. False where the transport (TLS) cannot: ``finish`` then."""
        return self.connection.half_close(self)

    def answer(self, status: int, body: bytes, content_type: bytes = b"application/json", fields: Sequence[Field] = ()) -> None:
        """A complete answer with a known body; framing, Connection and HEAD are taken care of."""
        keep_alive = self.keep_alive
        head = self.head
        fields = (*fields, (b"Date", self.connection.factory.date()))
        if self.request_id:
            fields = (*fields, (b"X-Request-Id", self.request_id))
        block = simple_answer(
            status, body, content_type, fields=fields, keep_alive=keep_alive, minor=head.minor, head_only=head.method == b"HEAD"
        )
        self.reply(status, block, keep_alive=keep_alive)

    def fail(self, error: ScalelabError) -> None:
        """Answer with ``error``; when an answer has begun already, cut the connection, so that nobody takes it for a complete one."""
        self.trouble = error.code
        if self.begun:
            self.abort()
            return
        keep_alive = self.keep_alive and not isinstance(error, BadMessage)
        head = self.head
        fields = [(b"Date", self.connection.factory.date())]
        if self.request_id:
            fields.append((b"X-Request-Id", self.request_id))
        block = error_answer(error, keep_alive=keep_alive, minor=head.minor, head_only=head.method == b"HEAD", fields=fields)
        self.reply(error.status, block, keep_alive=keep_alive)

    def refusal(self, error: ScalelabError, block: bytes) -> bytes:
        """What the server sends instead of ``block``, its answer with ``error`` to a request whose body it will not read to the end."""
        return block

    def abort(self) -> None:
        """Reset the connection: the client sees that the answer is broken. ``receiver`` hears nothing more."""
        self.connection.abort_exchange(self)

    def limit_body(self, max_bytes: int) -> None:
        """Take a body of no more than this; to be called before any of it is used. Raises BodyTooLarge when it is known to be larger.

        One that turns out to be larger later ends the exchange as a broken one does, with 413 unless the answer has begun.
        """
        if max(self.head.content_length or 0, len(self.body)) > max_bytes:
            raise BodyTooLarge(f"the body is larger than {max_bytes} bytes")
        if not self.body_complete and self.head.chunked:
            self.connection.limit_body(self, max_bytes)

    def pause_body(self) -> None:
        """Deliver no more of the request's body for now."""
        self.connection.pause_body(self)

    def resume_body(self) -> None:
        """Deliver on."""
        self.connection.resume_body(self)

    def _start(self, status: int, keep_alive: bool) -> None:
        if self.begun:
            raise RuntimeError("this exchange is answered already")
        self.begun = True
        self.status = status
        if not keep_alive:
            self.connection.close_after_answer()
