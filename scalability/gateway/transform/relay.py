"""The answer of a request within, on its way to a client: its fields changed, its body perhaps encoded.

waiting   nothing has come
headed    the head has come; it waits for the beginning of the body, until the next turn at most, so that a small answer goes out in
          one piece and with its length
begun     the head is on its way
over      the answer is complete, or failed, or the client has gone
"""

from collections.abc import Sequence
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from scalability.errors import ScalelabError
from scalability.gateway.transform.accept_encoding import IDENTITY
from scalability.gateway.transform.answer_head import answer_head, framing_of
from scalability.gateway.transform.codings import ENCODERS
from scalability.gateway.transform.compression import Coded
from scalability.gateway.transform.encoded_body import EncodedBody
from scalability.gateway.transform.switching import SwitchableExchange
from scalability.gateway.transform.turns import Turns
from scalability.http1.fields import Field
from scalability.http1.forward import Framing, chunk, end_of_chunks
from scalability.http1.response_head import ResponseHead
from scalability.net.exchange import Application, Exchange
from scalability.proxy.inner import InnerConnection, InnerExchange

HELD_BYTES = 64 << 10
"""Of a body's beginning, which waits together with its head."""


class Change(Protocol):
    """What becomes of an answer."""

    def of(self, head: ResponseHead) -> Coded:
        """Its coding and its fields. Raises ScalelabError when they cannot be sent."""

    def over(self) -> None:
        """The answer is over."""


class Relay:
    """Sends the answer to ``exchange``'s request on to its client, as ``change`` says. ``ask`` begins it."""

    __slots__ = (
        "_begun",
        "_body",
        "_call",
        "_change",
        "_clock",
        "_coding",
        "_exchange",
        "_fields",
        "_framing",
        "_head",
        "_held",
        "_inner",
        "_over",
        "_pauses",
        "_trailers",
        "_turns",
    )

    # set with the head of the answer
    _coding: bytes
    _fields: Sequence[Field]
    _framing: Framing
    _head: ResponseHead

    def __init__(self, exchange: Exchange, change: Change, clock: IReactorTime, turns: Turns) -> None:
        self._exchange = exchange
        self._change = change
        self._clock = clock
        self._turns = turns
        self._begun = False
        self._over = False
        self._body: EncodedBody | None = None
        self._held = b""
        self._call: IDelayedCall | None = None
        self._trailers: tuple[Field, ...] = ()
        self._pauses = 0
        uploading = None if exchange.body_complete else exchange
        connection = InnerConnection(exchange.connection.factory, exchange)
        head, body = exchange.head, exchange.body
        if head.upgrade is None:
            self._inner = InnerExchange(head, self, connection, body=body, uploading=uploading)
        else:
            self._inner = SwitchableExchange(exchange, head, self, connection, body=body, uploading=uploading)
        self._inner.request_id = exchange.request_id
        exchange.receiver = _Client(self, self._inner, exchange)

    def ask(self, application: Application) -> None:
        """Ask ``application`` for what the exchange's head says."""
        self._inner.ask(application)

    # proxy.inner.AnswerReader

    def interim_received(self, head: ResponseHead) -> None:
        if self._exchange.head.minor:
            self._exchange.send_interim(answer_head(head.status, head.reason, head.fields, Framing.NONE, None, keep_alive=True, minor=1))

    def head_received(self, head: ResponseHead) -> None:
        try:
            coding, fields = self._change.of(head)
        except ScalelabError as error:
            self._inner.cancel(error)
            self.answer_failed(error)
            return
        self._head, self._coding, self._fields = head, coding, fields
        if coding != IDENTITY and not self._bodiless:
            self._body = EncodedBody(
                ENCODERS[coding](),
                self._turns,
                flush=head.content_length is None,
                write=self._send,
                ended=self._finish,
                full=self._pause,
                ready=self._resume,
            )
        self._call = self._clock.callLater(0, self._begin)

    def body_received(self, data: bytes) -> None:
        if self._body is not None:
            self._body.feed(data)
        else:
            self._send(data)

    def answer_ended(self, trailers: tuple[Field, ...]) -> None:
        self._trailers = trailers
        if self._body is not None:
            self._stop()  # it is all here: the head waits for its length, or for as much as is sent at a time
            self._body.end()
        else:
            self._finish(b"")

    def answer_failed(self, error: ScalelabError) -> None:
        self._note()
        if self.close():
            self._exchange.fail(error)

    # the client's side

    def client_full(self) -> None:
        """It reads too slowly."""
        if self._body is not None:
            self._body.hold()
        self._pause()

    def client_ready(self) -> None:
        """It reads again."""
        if self._body is not None:
            self._body.go_on()
        self._resume()

    def close(self) -> bool:
        """Nothing more is to be sent; False when that was so already."""
        if self._over:
            return False
        self._over = True
        self._stop()
        if self._body is not None:
            self._body.cancel()
        self._change.over()
        return True

    # sending

    @property
    def _bodiless(self) -> bool:
        return self._exchange.head.method == b"HEAD" or self._head.status in (204, 304)

    def _pause(self) -> None:
        self._pauses += 1
        if self._pauses == 1:
            self._inner.pause()

    def _resume(self) -> None:
        self._pauses -= 1
        if self._pauses == 0:
            self._inner.resume()

    def _stop(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _send(self, data: bytes) -> None:
        if self._over:
            return
        if self._begun:
            self._exchange.write(self._framed(data))
            return
        self._held += data
        if len(self._held) > HELD_BYTES:
            self._stop()
            self._begin()

    def _begin(self) -> None:
        """Send the head, and what has come of the body with it."""
        self._call = None
        self._begun = True
        head = self._head
        length = head.content_length if self._coding == IDENTITY else None
        block, keep_alive = self._made(length)
        held, self._held = self._held, b""
        self._exchange.begin(head.status, block + self._framed(held), keep_alive=keep_alive)

    def _finish(self, data: bytes) -> None:
        if self._over:
            return
        exchange = self._exchange
        self._note()
        if self._begun:
            self.close()
            exchange.finish(self._framed(data) + self._end())
            return
        body = self._held + data
        length: int | None = len(body)
        if self._bodiless:
            length = self._head.content_length if self._coding == IDENTITY else None
        elif self._trailers and exchange.head.minor:
            length = None  # they come behind chunks only
        block, keep_alive = self._made(length)
        self.close()
        exchange.reply(self._head.status, block + self._framed(body) + self._end(), keep_alive=keep_alive)

    def _made(self, length: int | None) -> tuple[bytes, bool]:
        """The head, and whether it lets the connection go on."""
        exchange, head = self._exchange, self._head
        minor = exchange.head.minor
        self._framing = framing_of(length, minor=minor, bodiless=self._bodiless)
        keep_alive = exchange.keep_alive and self._framing is not Framing.CLOSE
        block = answer_head(head.status, head.reason, self._fields, self._framing, length, keep_alive=keep_alive, minor=minor)
        return block, keep_alive

    def _framed(self, data: bytes) -> bytes:
        return chunk(data) if self._framing is Framing.CHUNKED else data

    def _end(self) -> bytes:
        return end_of_chunks(self._trailers) if self._framing is Framing.CHUNKED else b""

    def _note(self) -> None:
        """For the access log: who answered, and what the request was called."""
        exchange, inner = self._exchange, self._inner
        exchange.served_by = exchange.served_by or inner.served_by
        exchange.trouble = exchange.trouble or inner.trouble


class _Client:
    """The receiver of the client's exchange."""

    __slots__ = ("_exchange", "_inner", "_relay")

    def __init__(self, relay: Relay, inner: InnerExchange, exchange: Exchange) -> None:
        self._relay = relay
        self._inner = inner
        self._exchange = exchange

    def body_received(self, data: bytes, ended: bool) -> None:
        self._inner.feed(data, ended, self._exchange.trailers)

    def client_lost(self, error: ScalelabError) -> None:
        self._relay.close()
        self._inner.cancel(error)

    def client_full(self) -> None:
        self._relay.client_full()

    def client_ready(self) -> None:
        self._relay.client_ready()
