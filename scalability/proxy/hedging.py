"""A second attempt while the first is still waited for: whoever answers first wins, the other is cancelled.

Dean and Barroso, "The Tail at Scale" (2013): asking a second server when the first has taken longer than most do cuts the tail for
a few percent more requests. Only for what is safe and has no body, GET and HEAD; the second attempt counts in the retry budget, and is left
out when that, or the number of servers, does not allow it.

    waiting   the first attempt has the time that it is given
    racing    both are asked; an answer of either, whatever its status, ends the race
    over

    waiting --time--> racing, or over (no budget, no other server);  waiting --answer, end--> over
    racing --an answer--> over;  racing --one fails--> over, the other is waited for
"""

from typing import Protocol

from twisted.internet.interfaces import IDelayedCall

from scalability.errors import ConnectError, ConnectTimeout, NoAnswer, NoServer, Outrun, ScalelabError, ServersBusy, UpstreamError, WentDown
from scalability.http1.response_head import ResponseHead
from scalability.net.client_connection import ClientConnection
from scalability.net.connection_attempt import Opening
from scalability.proxy.retrying import Retries
from scalability.upstream.server import Server
from scalability.upstream.servers import Upstream

DOWN_BEFORE_IT_ACCEPTED = "A server behind this one went down before it accepted a connection."
DOWN_BEFORE_IT_ANSWERED = "A server behind this one went down before it answered."

METHODS = frozenset((b"GET", b"HEAD"))


class Hedged(Protocol):
    """The request, and its first attempt."""

    def second_choice(self) -> Server:
        """A server for the second attempt. Raises NoServer, ServersBusy."""

    def active(self) -> int:
        """Requests of clients in flight."""

    def second_begins(self, server: Server) -> None:
        """It is about to be sent there."""

    def second_won(self, attempt: "SecondAttempt", head: ResponseHead, data: bytes, ended: bool) -> None:
        """Go on with what the second attempt was answered; the first is to be cancelled."""

    def second_failed(self, server: Server, error: UpstreamError) -> None:
        """The second attempt, at ``server``, came to nothing."""


class SecondAttempt:
    """The second attempt of one request; also a ConnectReceiver and an AnswerReceiver."""

    __slots__ = (
        "_block",
        "_later",
        "_method",
        "_opening",
        "_preface",
        "_request",
        "_retries",
        "_servers",
        "connection",
        "epoch",
        "sent_s",
        "server",
    )

    def __init__(self, request: Hedged, servers: Upstream, retries: Retries, block: bytes, method: bytes, preface: bytes) -> None:
        self._request = request
        self._servers = servers
        self._retries = retries
        self._block = block
        self._method = method
        self._preface = preface
        self._later: IDelayedCall | None = None
        self._opening: Opening | None = None
        self.connection: ClientConnection | None = None
        self.server: Server | None = None
        self.epoch = 0
        self.sent_s = 0.0

    @property
    def racing(self) -> bool:
        """Whether it was begun and may still win."""
        return self.server is not None

    def begin_after(self, seconds: float) -> None:
        """Begin unless it is cancelled before."""
        self._later = self._retries.call_later(seconds, self._begin)

    def cancel(self) -> None:
        """The race is over without it."""
        later, self._later = self._later, None
        if later is not None:
            later.cancel()
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.abort()
        self._give_up(Outrun())

    def _begin(self) -> None:
        self._later = None
        try:
            server = self._request.second_choice()
        except (NoServer, ServersBusy):
            return
        if not self._retries.budget.take(self._request.active()):
            return
        self._retries.count += 1
        self.server = server
        self._request.second_begins(server)
        self.epoch = server.started()
        self.sent_s = self._servers.seconds()
        connection = server.pool.take(self._preface)
        if connection is None:
            self._opening = server.pool.open(self, self._preface)
        else:
            self.connected(connection)

    def _give_up(self, error: ScalelabError) -> None:
        server, self.server = self.server, None
        if server is not None:
            server.failed(error, self.epoch, self._servers.seconds() - self.sent_s)
            self._retries.done(self._request.active())

    def _failed(self, error: UpstreamError, counted: ScalelabError | None = None) -> None:
        """``counted`` is what stands in the counts of the server where that is something else."""
        self.connection = None
        server = self.server
        assert server is not None
        self._give_up(error if counted is None else counted)
        self._request.second_failed(server, error)

    # ConnectReceiver

    def connected(self, connection: ClientConnection) -> None:
        self._opening = None
        self.connection = connection
        connection.send(self._block, self._method, self)

    def connect_failed(self, error: ConnectError | ConnectTimeout) -> None:
        self._opening = None
        self._failed(error)

    # AnswerReceiver

    def answer_interim(self, head: ResponseHead) -> None:
        """Only one of the two may tell the client such things: the first."""

    def answer_received(self, head: ResponseHead, data: bytes, ended: bool) -> None:
        self._retries.done(self._request.active())
        self._request.second_won(self, head, data, ended)

    def answer_data(self, data: bytes, ended: bool) -> None:
        """The head comes first, and with it another receiver."""

    def answer_failed(self, error: UpstreamError) -> None:
        self._failed(error)

    def server_down(self) -> None:
        """The server went down while a connection to it, or its answer, is waited for."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            self._failed(ConnectTimeout(DOWN_BEFORE_IT_ACCEPTED), WentDown())
        elif self.connection is not None:
            self.connection.abort()
            self._failed(NoAnswer(DOWN_BEFORE_IT_ANSWERED), WentDown())

    def upload_paused(self) -> None:
        """There is no body."""

    def upload_resumed(self) -> None:
        """There is no body."""
