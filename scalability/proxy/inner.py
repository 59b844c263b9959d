"""A request that no client's connection carries: asked of an application in this process, answered with parsed messages.

    asking      the application has the request; the rest of its body may still be coming from whoever feeds it
    answering   the head of the answer was told
    over        the answer has ended or failed, or was cancelled: nothing more is told

    asking --head--> answering --end--> over;  asking, answering --failure--> over;  any --cancel--> over (and nothing is told)

What the application writes is read with http1's own strict parsers, so that an answer that would confuse a client's connection fails
here. ``InnerExchange`` is what the application takes for an exchange of the server; there is no server connection behind it, and the
client's memory of an application (``connection.memory``) is not touched.
"""

from typing import Any, Protocol

from twisted.internet.address import IPv4Address
from twisted.logger import Logger

from scalability.errors import BadAnswer, BadMessage, BrokenAnswer, ClientGone, ScalelabError
from scalability.http1.body import BodyReader, response_body
from scalability.http1.fields import Field
from scalability.http1.forward import upgrades_asked
from scalability.http1.head_end import find_head_end
from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.http1.request_head import RequestHead
from scalability.http1.response_head import ResponseHead, parse_response_head
from scalability.net.exchange import Application, Exchange, TunnelReceiver
from scalability.net.http_server import HTTPServerFactory
from scalability.net.server_counts import ServerCounts


class AnswerReader(Protocol):
    """Whoever asked. Called in this order, perhaps before ``ask`` returns; after ``answer_ended`` or ``answer_failed`` never again."""

    def interim_received(self, head: ResponseHead) -> None:
        """A 1xx, any number of them."""

    def head_received(self, head: ResponseHead) -> None:
        """The answer's head: its fields as they would go to a client, framing included."""

    def body_received(self, data: bytes) -> None:
        """More of the answer's body, its transfer coding removed; never empty."""

    def answer_ended(self, trailers: tuple[Field, ...]) -> None:
        """The answer is complete."""

    def answer_failed(self, error: ScalelabError) -> None:
        """There is no answer (``error`` says what a client is to be told), or after its head: no complete one."""


class Uploading(Protocol):
    """Where the rest of a request's body comes from: the client's own exchange, most likely."""

    def pause_body(self) -> None: ...

    def resume_body(self) -> None: ...

    def limit_body(self, max_bytes: int) -> None: ...

    def send_continue(self) -> None: ...


class _Factory:
    """What applications ask of the server behind a connection."""

    __slots__ = ("abort_on_close", "clock", "counts", "date", "draining", "seconds", "wheel")

    def __init__(self, server: HTTPServerFactory) -> None:
        self.abort_on_close = False
        self.counts: ServerCounts = server.counts
        self.date = server.date
        self.draining = False
        """Requests within are finished, and nothing they are answered with ends a connection."""
        self.clock = server.clock
        self.seconds = server.seconds
        self.wheel = server.wheel


class _Nowhere:
    """The transport of a request that this process makes itself."""

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 0)

    getHost = getPeer


class InnerConnection:
    """What applications ask of a client's connection. One may serve many requests of one client to one application, one after another."""

    __slots__ = ("_client", "abort_on_close", "authenticated", "factory", "memory", "peer_host", "route", "scheme", "transport")

    def __init__(self, server: HTTPServerFactory, client: Exchange | None = None) -> None:
        """``client``: on whose behalf, so that the application sees its address; without one it is this process itself."""
        self.factory = _Factory(server)
        self.memory: Any = None
        self.abort_on_close = False
        connection = None if client is None else client.connection
        self.peer_host = b"127.0.0.1" if client is None else client.peer_host
        self.scheme = b"http" if client is None else client.scheme
        self.transport: Any = _Nowhere() if connection is None else connection.transport
        self.authenticated: bool = getattr(client, "authenticated", False)
        """Whether somebody in front has checked who that is."""
        self.route: str = getattr(client, "route", "")
        """The name of what serves it, where there are several such."""
        self._client = connection

    def ends(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """As ``ServerConnection``. Asked of the system only when somebody wants to know; of a client that has left nothing is known."""
        client = self._client
        return (("127.0.0.1", 0), ("127.0.0.1", 0)) if client is None or client.lost else client.ends()


class InnerExchange(Exchange):
    """A request within this process: see the module. ``ask`` begins it.

    ``head`` must not ask for an upgrade that the application would grant: there is nobody to switch with. A body is ``body``, whole, or
    with ``uploading`` its beginning, the rest of which is given to ``feed``.
    """

    log = Logger()
    __slots__ = ("_held", "_limits", "_over", "_paused", "_reader", "_to", "_told", "_uploading")

    def __init__(
        self,
        head: RequestHead,
        reader: AnswerReader,
        connection: InnerConnection,
        *,
        body: bytes = b"",
        uploading: Uploading | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        inner: Any = connection  # it has what applications use of a ServerConnection
        super().__init__(inner, head, connection.factory.seconds())
        self.body = body
        self.body_complete = uploading is None
        self._to = reader
        self._uploading = uploading
        self._limits = limits
        self._held = b""
        self._reader: BodyReader | None = None
        self._told: ResponseHead | None = None
        self._over = False
        self._paused = False

    # whoever asks

    def ask(self, application: Application) -> None:
        """Give the request to ``application``. An exception of its own is a failed answer, as in the server."""
        try:
            application.request_received(self)
        except Exception:
            self.log.failure("the application failed on a request within")
            self.fail(ScalelabError("this server made a mistake; its log says more"))

    def feed(self, data: bytes, ended: bool, trailers: tuple[Field, ...] = ()) -> None:
        """More of the request's body."""
        receiver = self.receiver
        if ended:
            self.body_complete = True
            self.trailers = trailers
        if not self._over and receiver is not None:
            receiver.body_received(data, ended)

    def pause(self) -> None:
        """Have the application write no more for now."""
        if not self._over and not self._paused:
            self._paused = True
            if self.receiver is not None:
                self.receiver.client_full()

    def resume(self) -> None:
        """Go on."""
        if not self._over and self._paused:
            self._paused = False
            if self.receiver is not None:
                self.receiver.client_ready()

    def cancel(self, error: ScalelabError | None = None) -> None:
        """Nobody wants the answer any more: the application learns of it as of a client that has gone. Nothing more is told."""
        receiver, self.receiver = self.receiver, None
        over, self._over = self._over, True
        if receiver is not None and not over:
            receiver.client_lost(error or ClientGone())

    @property
    def authenticated(self) -> bool:
        """Whether the client on whose behalf it is was checked, as applications in front of it note that on their own exchanges."""
        connection: Any = self.connection
        checked: bool = connection.authenticated
        return checked

    @property
    def route(self) -> str:
        """Through what the client on whose behalf it is came, as applications in front note that."""
        connection: Any = self.connection
        name: str = connection.route
        return name

    @property
    def over(self) -> bool:
        """Whether nothing more will be told."""
        return self._over

    # the application: what a server's exchange does with its connection

    def send_continue(self) -> None:
        if self._uploading is not None and not self.begun and not self.body_complete:
            self._uploading.send_continue()

    def send_interim(self, block: bytes) -> None:
        if self.begun or self._over:
            return
        try:
            head = parse_response_head(block, self._limits)
        except BadMessage as error:
            self._fail(_bad(error))
            return
        self._to.interim_received(head)

    def begin(self, status: int, block: bytes, *, keep_alive: bool) -> None:
        self._start(status)
        paused = self._paused
        self._receive(block)
        receiver = self.receiver
        if paused and self._paused and receiver is not None:
            receiver.client_full()  # it was told when it had no answer to hold back yet

    def write(self, data: bytes) -> None:
        self._receive(data)

    def finish(self, data: bytes = b"") -> None:
        self.receiver = None  # it is done, and hears nothing more
        if data:
            self._receive(data)
        if self._over:
            return
        reader = self._reader
        if reader is None:
            self._fail(BadAnswer())
            return
        try:
            reader.eof()
        except BadMessage as error:
            self._fail(_bad(error))
            return
        self._over = True
        self._to.answer_ended(reader.trailers)

    def reply(self, status: int, block: bytes, keep_alive: bool) -> None:
        self._start(status)
        self.finish(block)

    def switch(self, block: bytes, receiver: TunnelReceiver) -> None:
        self.fail(BadAnswer("There is nobody here to switch protocols with."))

    def half_close(self) -> bool:
        return False

    def fail(self, error: ScalelabError) -> None:
        self.trouble = error.code
        self._fail(BrokenAnswer() if self.begun else error)

    def abort(self) -> None:
        self._fail(BrokenAnswer())

    def limit_body(self, max_bytes: int) -> None:
        if self._uploading is not None:
            self._uploading.limit_body(max_bytes)
        else:
            super().limit_body(max_bytes)

    def pause_body(self) -> None:
        if self._uploading is not None and not self.body_complete:
            self._uploading.pause_body()

    def resume_body(self) -> None:
        if self._uploading is not None and not self.body_complete:
            self._uploading.resume_body()

    def _start(self, status: int, keep_alive: bool = True) -> None:
        super()._start(status, True)

    # reading

    def _receive(self, data: bytes) -> None:
        if self._over:
            return
        self.sent_bytes += len(data)
        try:
            reader = self._reader
            if reader is None:
                data = self._held + data
                end = find_head_end(data, 0, self._limits)
                if end < 0:
                    self._held = data
                    return
                self._held = b""
                head = self._told = parse_response_head(data[:end], self._limits)
                if head.status < 200:
                    raise BadMessage("An interim answer stands in the place of the final one.")
                reader = self._reader = response_body(head, self.head.method, self._limits)
                data = data[end:]
                self._to.head_received(head)
            if data and not self._over:
                payload, rest = reader.feed(data)
                if rest:
                    raise BadMessage("There is more than the answer.")
                if payload:
                    self._to.body_received(payload)
        except BadMessage as error:
            bad = _bad(error)
            receiver = self.receiver
            self._fail(bad)
            if receiver is not None:
                receiver.client_lost(bad)  # it would go on writing what nobody can read

    def _fail(self, error: ScalelabError) -> None:
        self.receiver = None
        if not self._over:
            self._over = True
            self._to.answer_failed(BrokenAnswer() if self._told is not None else error)


def may_upgrade(head: RequestHead, upgrades: frozenset[bytes]) -> bool:
    """Whether a request must keep its client's connection, since it may become a tunnel."""
    return bool(upgrades_asked(head, upgrades))


def _bad(error: BadMessage) -> BadAnswer:
    bad = BadAnswer()
    bad.__cause__ = error
    return bad
