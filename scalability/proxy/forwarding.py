"""One proxied request: choose a server, connect, forward both bodies as they come, try again where that is safe, account.

    choosing    a server is asked for; none: 503
    queued      every server is full: it waits for a place, and its body with it
    retrying    it waits for its turn in the budget of retries, and from the second retry on for a pause
    connecting  its pool had no idle connection; the request's body waits
    asked       the head, and what had come of the body, is sent; the rest of the body follows as it comes
    answering   the head of the answer is on its way to the client; each side's slowness pauses the other

    choosing --server--> connecting or asked;  connecting --connected--> asked
    choosing --all full--> queued;  queued --a place--> connecting or asked;  queued --too long, no server left--> 503
    connecting --refused, timed out--> choosing (another server): nothing was sent, so any method may go elsewhere
    asked --a reason to retry, or its server goes down, before a byte of the answer--> retrying, for idempotent methods whose body is
            still at hand;  retrying --its turn--> choosing;  asked --an error's status--> connecting or asked, if another server is free
    asked --answer--> answering --its end--> over
    asked --101 that was asked for--> a ``Tunnel`` takes over
    asked --anything else--> 502 or 504 as JSON;  answering --broken--> the client's connection is reset
    any --client lost--> the upstream connection is reset, which cancels the request there

Nothing here creates a Deferred or a closure; delayed calls only hedging, and pauses before retries.
"""

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall

from scalability.errors import (
    ConnectError,
    ConnectTimeout,
    NoAnswer,
    NoServer,
    Outrun,
    Overloaded,
    QueueTimeout,
    ScalelabError,
    ServersBusy,
    TotalTimeout,
    UpstreamError,
    WentDown,
)
from scalability.http1.forward import (
    END_OF_NAME,
    Framing,
    ResponseForwarder,
    chunk,
    end_of_chunks,
    forward_response,
    forward_switch,
    upgrades_asked,
    with_field,
)
from scalability.http1.response_head import ResponseHead
from scalability.net.client_connection import ClientConnection
from scalability.net.connection_attempt import Opening
from scalability.net.exchange import Exchange
from scalability.net.service_client import IDEMPOTENT
from scalability.proxy.hedging import DOWN_BEFORE_IT_ACCEPTED, DOWN_BEFORE_IT_ANSWERED, SecondAttempt
from scalability.proxy.tunnel import Tunnel
from scalability.upstream.breaker import State
from scalability.upstream.server import Server
from scalability.upstream.stickiness import Known, Stickiness

if TYPE_CHECKING:
    from scalability.proxy.application import ProxyApplication

_CHUNKED = Framing.CHUNKED  # an enumeration's member costs ten times a global name

_NOT_SENT = (ConnectError, ConnectTimeout)

SLOW_ATTEMPTS = 3
"""Servers that one request may wait for in vain (connect timeouts, dead connections). Refusals cost no time and are not counted."""


class Again:
    """What is known of a request that is to be, or was, sent once more."""

    __slots__ = ("count", "error", "fallback", "later", "taken", "waits")

    def __init__(self) -> None:
        self.count = 0
        """How often."""
        self.error: ScalelabError = NoAnswer()
        """Why, the last time; what the client is told when it cannot be."""
        self.fallback: Server | None = None
        """A server that closed a kept-alive connection just then, most likely: it may be asked again, on a fresh one."""
        self.taken = False
        """Whether a place in the budget is taken."""
        self.waits = False
        """Whether it waits for its turn."""
        self.later: IDelayedCall | None = None


class Forwarding:
    """A request on its way: the server's Receiver on one side, the client's AnswerReceiver and ConnectReceiver on the other."""

    __slots__ = (
        "__weakref__",
        "_again",
        "_application",
        "_block",
        "_body",
        "_connection",
        "_epoch",
        "_exchange",
        "_framing",
        "_nominated",
        "_opening",
        "_queued",
        "_raced",
        "_replayable",
        "_reused",
        "_second",
        "_sent_s",
        "_server",
        "_slow_attempts",
        "bound_by",
        "key",
        "preface",
        "tried",
    )

    # set by the attempt, or with the head of an answer that goes on, and read only after that
    _epoch: int
    _framing: Framing
    _nominated: frozenset[bytes]
    _raced: UpstreamError
    """Why the first of two attempts failed while the second went on."""
    _reused: bool

    def __init__(self, application: "ProxyApplication", exchange: Exchange, block: bytes) -> None:
        self._application = application
        self._exchange = exchange
        self._block = block
        self.preface = b""
        """What connections to servers begin with, for this client."""
        self.key: bytes | None = None
        """What the request is hashed by, where the algorithm does so."""
        self.bound_by: Known[Server] | None = None
        """What the client's cookie says, if it has one."""
        self._body = b""
        self._connection: ClientConnection | None = None
        self._opening: Opening | None = None
        self._server: Server | None = None
        self._sent_s = exchange.began_s
        self._replayable = True
        self._queued = False
        self._slow_attempts = 0
        self.tried: tuple[Server, ...] = ()
        """Where it was already."""
        self._again: Again | None = None
        self._second: SecondAttempt | None = None
        exchange.receiver = self
        if exchange.head.chunked or exchange.body:
            self._body = self._framed(exchange.body, exchange.body_complete)

    def choose(self) -> None:
        """Begin."""
        servers = self._application.servers
        if self.bound_by is not None and servers.bound(self.bound_by.server):
            self._attempt(self.bound_by.server, "bound")
            return
        if servers.queueing:
            self._wait()
            return
        try:
            server = servers.choose((), self.key)
        except ServersBusy:
            self._wait()
        except NoServer as error:
            self._fail(error)
        else:
            self._attempt(server, "chosen")

    def _attempt(self, server: Server, reason: str, fresh: bool = False) -> None:
        self._server = server
        decisions = self._application.decisions
        if decisions is not None:
            decisions.note(self._exchange.request_id, server, reason, self._sent_s)
        self._epoch = server.started()
        connection = None if fresh else server.pool.take(self.preface)
        if connection is not None:
            self._reused = True
            self._send(connection)
            return
        self._reused = False
        if not self._exchange.body_complete:
            self._exchange.pause_body()
        self._opening = server.pool.open(self, self.preface)

    def _send(self, connection: ClientConnection) -> None:
        self._connection = connection
        exchange = self._exchange
        if exchange.head.upgrade is not None and (protocols := upgrades_asked(exchange.head, self._application.upgrades)):
            connection.may_switch(protocols)
        if self._body:
            connection.send(self._block + self._body, exchange.head.method, self, exchange.body_complete)
            self._keep_body()
        else:
            connection.send(self._block, exchange.head.method, self, exchange.body_complete)

    def _keep_body(self) -> None:
        """What was sent of the body is kept as long as it may have to be sent again."""
        if self._replayable and (
            len(self._body) > self._application.retries.policy.max_body_bytes or self._exchange.head.method not in IDEMPOTENT
        ):
            self._replayable = False
        if not self._replayable:
            self._body = b""

    def _framed(self, data: bytes, ended: bool) -> bytes:
        if not self._exchange.head.chunked:
            return data
        if not ended:
            return chunk(data)
        return chunk(data) + end_of_chunks(self._exchange.trailers, self._exchange.head.connection_options)

    # upstream.servers.Waiting: for a place at a server

    def _wait(self) -> None:
        exchange = self._exchange
        if not exchange.body_complete:
            exchange.pause_body()
        try:
            self._application.servers.wait(self)
        except Overloaded as error:
            self._fail(error)
            return
        self._queued = True
        exchange.connection.abort_on_close = True  # rule 42: who hangs up while it waits wants no answer

    def place_free(self, server: Server | None) -> None:
        self._leave_queue()
        if server is None:
            self._fail(NoServer())
            return
        self._sent_s = self._application.servers.seconds()
        self._attempt(server, "queued")
        self._go_on()

    def waited_in_vain(self) -> None:
        self._leave_queue()
        self._fail(QueueTimeout())

    def _leave_queue(self) -> None:
        self._queued = False
        connection = self._exchange.connection
        connection.abort_on_close = connection.factory.abort_on_close

    # ConnectReceiver

    def connected(self, connection: ClientConnection) -> None:
        self._opening = None
        self._send(connection)
        if not self._exchange.body_complete:
            self._exchange.resume_body()

    def connect_failed(self, error: ConnectError | ConnectTimeout) -> None:
        self._opening = None
        self._give_up_server(error)
        if isinstance(error, ConnectTimeout):
            self._slow_attempts += 1
        if self._second is not None and self._second.racing:
            self._raced = error
            return  # as where the answer fails
        self._elsewhere(error)
        self._go_on()

    # AnswerReceiver

    def answer_interim(self, head: ResponseHead) -> None:
        self._replayable = False
        exchange = self._exchange
        block = forward_response(
            head,
            client_minor=exchange.head.minor,
            client_keep_alive=True,
            request_method=exchange.head.method,
            via=self._application.via,
        ).head
        if block:
            exchange.send_interim(block)

    def answer_switched(self, head: ResponseHead, data: bytes) -> None:
        connection, self._connection = self._connection, None
        server, self._server = self._server, None
        assert connection is not None
        assert server is not None
        application = self._application
        exchange = self._exchange
        now = application.servers.seconds()
        server.answered(101, now - self._sent_s, now, self._epoch)
        if self._again is not None:
            self._settle()
        exchange.served_by = server.name
        tunnel = Tunnel(exchange, connection, server, application.tunnels, (head.upgrade or b"").decode("ascii").lower())
        connection.enter_tunnel(tunnel, application.tunnel_ticks)
        extra = [(b"X-Request-Id", exchange.request_id)] if exchange.request_id else ()
        exchange.switch(forward_switch(head, via=application.via, without=application.answer_without, extra=extra), tunnel)
        if data:
            tunnel.answer_data(data, False)

    def server_finished(self) -> None:
        """A tunnel's end, not this one's."""

    def answer_received(self, head: ResponseHead, data: bytes, ended: bool) -> None:
        connection = self._connection
        server = self._server
        assert connection is not None
        assert server is not None
        application = self._application
        seconds = application.servers.seconds
        now = seconds()
        status = head.status
        completed = ended and status < 500
        if completed:
            server.completed(now - self._sent_s, now, self._epoch)
        else:
            server.answered(status, now - self._sent_s, now, self._epoch)
        if self._second is not None:
            self._end_race()
        if status >= 500 and self._retries_status(status) and self._another_asked(connection, server, ended):
            return
        forwarder: ResponseForwarder | None = connection.memory
        if forwarder is None:
            forwarder = connection.memory = application.response_forwarder()
        exchange = self._exchange
        request = exchange.head
        factory = exchange.connection.factory
        goes_on = request.keep_alive and exchange.body_complete and not factory.draining
        block, framing, keep_alive = forwarder.forward(head, request, goes_on, b"" if head.dated else factory.date())
        exchange.served_by = server.name
        if framing is _CHUNKED:
            data = chunk(data)
            if ended:
                data += end_of_chunks(connection.trailers, head.connection_options)
            else:
                self._nominated = head.connection_options
        if application.stickiness is not None and (cookie := self._cookie(application.stickiness, server)):
            block = with_field(block, (b"Set-Cookie", cookie), named=bool(exchange.request_id))
        if exchange.request_id:
            block = b"".join((block, exchange.request_id, END_OF_NAME, data))
        elif data:
            block += data
        if ended:
            self._connection = None
            if not completed:
                server.succeeded()
            if self._again is not None:
                self._settle()
            exchange.reply(status, block, keep_alive)
        else:
            self._framing = framing
            exchange.begin(status, block, keep_alive=keep_alive)

    def answer_data(self, data: bytes, ended: bool) -> None:
        connection = self._connection
        assert connection is not None
        if self._framing is _CHUNKED:
            data = chunk(data)
            if ended:
                data += end_of_chunks(connection.trailers, self._nominated)
        if ended:
            assert self._server is not None
            self._connection = None
            self._server.succeeded()
            if self._again is not None:
                self._settle()
            self._exchange.finish(data)
        else:
            self._exchange.write(data)

    def answer_failed(self, error: UpstreamError) -> None:
        self._connection = None
        server = self._server
        self._give_up_server(error)
        if self._second is not None and self._second.racing:
            self._raced = error
            return  # the other one may still answer; if not, that is where the request fails
        if self._exchange.begun or error.code not in self._application.retries.policy.reasons or not self._may_replay():
            self._fail(error)
            return
        self._once_more(error, server if self._reused and isinstance(error, NoAnswer) else None)

    def server_down(self) -> None:
        """The server went down while a connection to it, or its answer, is waited for: it may never come, and is asked of another.

        Where there is no other, it may still come.
        """
        tried = self.tried if self._server is None else (*self.tried, self._server)
        if not self._application.servers.has_other(tried):
            return
        if self._opening is not None:
            opening, self._opening = self._opening, None
            opening.cancel()
            self._give_up_server(WentDown())
            self._slow_attempts += 1
            error = ConnectTimeout(DOWN_BEFORE_IT_ACCEPTED)
            if self._second is not None and self._second.racing:
                self._raced = error
                return
            self._elsewhere(error, WentDown.code)
            self._go_on()
            return
        connection = self._connection
        if connection is None or self._exchange.begun or not self._may_replay():
            return
        self._connection = None
        connection.abort()
        self._give_up_server(WentDown())
        lost = NoAnswer(DOWN_BEFORE_IT_ANSWERED)
        if self._second is None or not self._second.racing:
            self._once_more(lost, None)
        else:
            self._raced = lost

    def upload_paused(self) -> None:
        self._exchange.pause_body()

    def upload_resumed(self) -> None:
        self._exchange.resume_body()

    # Receiver

    def body_received(self, data: bytes, ended: bool) -> None:
        if not data and not ended:
            return
        framed = self._framed(data, ended)
        connection = self._connection
        if connection is None:
            self._body += framed  # it was on its way already when the body was paused
            return
        if self._replayable:
            self._body += framed
            self._keep_body()
        connection.write_body(framed, ended)

    def client_lost(self, error: ScalelabError) -> None:
        if self._queued:
            self._queued = False
            self._application.servers.leave_line(self)
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        if self._server is not None:
            self._give_up_server(error)
        if self._second is not None:
            self._end_race()
        if self._again is not None:
            self._settle()

    # total_limit.Limited

    def took_too_long(self) -> None:
        """End now, if it has not ended: 504, or, where an answer has begun, the client's connection is reset."""
        going_on = self._connection is not None or self._opening is not None or self._queued or self._again is not None
        if going_on or self._second is not None:
            error = TotalTimeout()
            self.client_lost(error)
            self._exchange.fail(error)

    # Receiver, how fast the client reads

    def client_full(self) -> None:
        if self._connection is not None:
            self._connection.pause()

    def client_ready(self) -> None:
        if self._connection is not None:
            self._connection.resume()

    # attempts

    def _may_replay(self) -> bool:
        return (
            self._replayable
            and self._exchange.head.method in IDEMPOTENT
            and (0 if self._again is None else self._again.count) < self._application.retries.policy.retries
        )

    def _give_up_server(self, error: ScalelabError) -> None:
        server, self._server = self._server, None
        if server is not None:
            self.tried = (*self.tried, server)
            server.failed(error, self._epoch, self._application.servers.seconds() - self._sent_s)

    def _elsewhere(self, error: ScalelabError, reason: str = "") -> None:
        """Nothing was sent: another server may get any request. ``reason`` is noted of it, else the code of ``error``."""
        if self._slow_attempts >= SLOW_ATTEMPTS:
            self._fail(error)
            return
        try:
            server = self._application.servers.choose(self.tried, self.key)
        except ServersBusy:
            self._wait()
        except NoServer:
            self._fail(error)
        else:
            self._application.retries.count += 1
            self._sent_s = self._application.servers.seconds()
            self._attempt(server, reason or error.code)

    def _once_more(self, error: ScalelabError, fallback: Server | None) -> None:
        """What was sent was lost: send it again, when the budget lets it."""
        again = self._again
        if again is None:
            again = self._again = Again()
        again.count += 1
        again.error = error
        again.fallback = fallback
        if not self._exchange.body_complete:
            self._exchange.pause_body()
        if again.taken:
            self.retry_now()
        else:
            again.waits = True
            self._application.retries.ask(self, self._active)

    def retry_now(self) -> None:
        """See Retrying."""
        again = self._again
        assert again is not None
        again.waits = False
        again.taken = True
        if again.count > 1:
            again.later = self._application.retries.later(again.count - 1, self._retry)
        else:
            self._retry()

    def fail(self, error: ScalelabError) -> None:
        """See Retrying."""
        if self._again is not None:
            self._again.waits = False
        self._fail(error)

    def _retry(self) -> None:
        again = self._again
        assert again is not None
        again.later = None
        application = self._application
        server: Server | None
        try:
            server = application.servers.choose(self.tried, self.key)
        except ServersBusy:
            self._wait()
            return
        except NoServer:
            server = again.fallback
            if server is None or server.breaker.state is State.OPEN:
                self._fail(again.error)
                return
            if server.restricted and server.is_full():
                self._wait()  # its place went to whoever had waited longest
                return
        application.retries.count += 1
        self._sent_s = application.servers.seconds()
        # on a fresh connection: a kept one may be as dead as the last, for servers of one kind close theirs at the same time
        self._attempt(server, again.error.code, True)

    def _go_on(self) -> None:
        """Where a kept connection was there at once, the rest of the body follows."""
        if self._connection is not None and not self._exchange.body_complete:
            self._exchange.resume_body()

    def _retries_status(self, status: int) -> bool:
        return status in self._application.retries.statuses and self._may_replay()

    def _another_asked(self, connection: ClientConnection, server: Server, ended: bool) -> bool:
        """Whether the request was given to another server instead of passing on this answer, which is an error's."""
        application = self._application
        again = self._again
        try:
            other = application.servers.choose((*self.tried, server), self.key)
        except (NoServer, ServersBusy):
            return False
        if again is None:
            if not application.retries.budget.take(self._active):
                return False
            again = self._again = Again()
            again.taken = True
        again.count += 1
        self._connection = None
        self._server = None
        self.tried = (*self.tried, server)
        if not ended:
            connection.abort()
        application.retries.count += 1
        self._sent_s = application.servers.seconds()
        self._attempt(other, "status")  # before a place becomes free: whoever waits might be given the one at the other
        server.succeeded()
        self._go_on()
        return True

    @property
    def _active(self) -> int:
        """Requests of clients in flight."""
        return self._exchange.connection.factory.counts.active

    # hedging.Hedged

    def hedge(self, seconds: float) -> None:
        """Ask a second server, too, when there is no answer after ``seconds``."""
        application = self._application
        self._second = SecondAttempt(self, application.servers, application.retries, self._block, self._exchange.head.method, self.preface)
        self._second.begin_after(seconds)

    def second_choice(self) -> Server:
        if self._server is None:
            raise NoServer  # it waits for the first one yet
        return self._application.servers.choose((*self.tried, self._server), self.key)

    def active(self) -> int:
        return self._active

    def second_begins(self, server: Server) -> None:
        decisions = self._application.decisions
        if decisions is not None:
            decisions.note(self._exchange.request_id, server, "hedged", self._application.servers.seconds())

    def second_won(self, attempt: SecondAttempt, head: ResponseHead, data: bytes, ended: bool) -> None:
        self._second = None
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        if self._server is not None:
            self._give_up_server(Outrun())
        assert attempt.connection is not None
        self._connection, self._server, self._epoch, self._sent_s = attempt.connection, attempt.server, attempt.epoch, attempt.sent_s
        attempt.connection.hand_over(self)
        self.answer_received(head, data, ended)

    def second_failed(self, server: Server, error: UpstreamError) -> None:
        self._second = None
        self.tried = (*self.tried, server)
        again = self._again
        waits = self._queued or (again is not None and (again.waits or again.later is not None))
        if self._server is None and not self._exchange.begun and not waits:
            # the first had failed before
            first = self._raced
            if isinstance(error, _NOT_SENT) and isinstance(first, _NOT_SENT):
                self._elsewhere(error)
                return
            lost = first if isinstance(error, _NOT_SENT) else error
            if lost.code in self._application.retries.policy.reasons and self._may_replay():
                self._once_more(lost, None)
            else:
                self._fail(lost)

    def _end_race(self) -> None:
        second, self._second = self._second, None
        if second is not None:
            second.cancel()

    def _fail(self, error: ScalelabError) -> None:
        if self._second is not None:
            self._end_race()
        if self._again is not None:
            self._settle()
        self._exchange.fail(error)

    def _settle(self) -> None:
        """It is over: what a retry took is given back."""
        again, self._again = self._again, None
        assert again is not None
        if again.later is not None:
            again.later.cancel()
        retries = self._application.retries
        if again.waits:
            retries.leave(self)
        if again.taken:
            retries.done(self._active)

    def _cookie(self, stickiness: Stickiness[Server], server: Server) -> bytes | None:
        """The Set-Cookie that binds the client to ``server``, unless it is bound already."""
        known = self.bound_by
        if known is not None and known.current and (known.server is server or self._application.servers.keeps_clients(known.server)):
            return None
        return stickiness.set_cookie(server, secure=self._exchange.scheme == b"https")
