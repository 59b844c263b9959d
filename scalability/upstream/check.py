"""One check of a server, on a connection of its own: whether it accepts one, and if asked over HTTP, whether it answers as it should.

A connection is not kept for the next check: a server whose kept-alive connections still work may have stopped accepting. It is opened,
secured, introduced (PROXY protocol) and read by net's own client, as the traffic's is: what the traffic would trip over, a check does too.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from scalability.errors import ConnectError, ConnectTimeout, ScalelabError, TLSFailed, UpstreamError
from scalability.http1.response_head import ResponseHead
from scalability.net.client_connection import ClientConnection
from scalability.net.connection_attempt import Opening
from scalability.net.connection_pool import ConnectionPool
from scalability.upstream.expected import BodyPattern, PatternTooSlow, Statuses
from scalability.upstream.server import is_ours

MAX_BODY_BYTES = 256 * 1024
"""An answer's body is cut off beyond, and judged by what there is of it (nginx's ``health_check match`` reads as much)."""

PASSING = Statuses()

FIELDS = ((b"User-Agent", b"scalelab-health-check"), (b"Connection", b"close"))


class Finding(NamedTuple):
    """What came of a check."""

    passed: bool | None
    """None: it could not be made for want of our own means (files, ports), and says nothing about the server."""
    what: str
    """One sentence, for people."""
    status: int = 0
    """That of the answer, 0 without one."""
    unreachable: bool = False
    """Whether no connection could be made."""


Ended = Callable[[Finding], None]


class Underway(Protocol):
    """A check that is being made. It has no deadline: whoever began it gives it up in time."""

    def give_up(self) -> None:
        """Break it off without a word. Once it has ended: close at once what may still wait for the server to close."""


class Check(Protocol):
    """How one server is checked."""

    def begin(self, ended: Ended) -> Underway:
        """Check it now. ``ended`` is called once, later, unless the check is given up."""

    def close(self) -> None:
        """The server is checked no more."""


class Attempt:
    """See Underway; passed once a connection stands."""

    def __init__(self, pool: ConnectionPool, ended: Ended) -> None:
        self._ended: Ended | None = ended
        self._connection: ClientConnection | None = None
        self._opening: Opening | None = pool.open(self)

    def give_up(self) -> None:
        """See Underway."""
        self._ended = None
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
        self.established(connection)

    def connect_failed(self, error: ConnectError | ConnectTimeout) -> None:
        self._opening = None
        if is_ours(error):
            self._end(Finding(None, f"the check could not be made: {error.__cause__}"))
        else:
            self.fail(error, unreachable=True)

    def established(self, connection: ClientConnection) -> None:
        """The connection stands, handshake included."""
        connection.close()
        self._end(Finding(True, "the check could connect"))

    def fail(self, error: ScalelabError, *, unreachable: bool = False) -> None:
        """It did not get what it wanted."""
        why = f": {_why_not_met(error)}" if isinstance(error, TLSFailed) else ""
        self._end(Finding(False, f"the check failed: {error.code}{why}", unreachable=unreachable))

    def _end(self, finding: Finding) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(finding)


def _why_not_met(error: TLSFailed) -> str:
    from scalability.net.tls import why_not_met  # loads OpenSSL, which most do without

    return why_not_met(error.__cause__ or error)


class TCPCheck:
    """Passes when ``pool`` can connect; where it speaks TLS, when the handshake and the certificate are good too."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def begin(self, ended: Ended) -> Attempt:
        """See Check."""
        return Attempt(self._pool, ended)

    def close(self) -> None:
        """See Check."""
        self._pool.close()


class HTTPCheck(TCPCheck):
    """Passes when a request is answered with one of ``statuses``, and, if ``body`` is given, with a match of it in the first 256 KiB.

    ``fields`` are sent beside Host (``host``), User-Agent and ``Connection: close``, or in their place. ``pool`` should have
    ``max_requests=1``. ``seconds`` is the clock that searches are timed by.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        host: str,
        *,
        seconds: Callable[[], float],
        method: bytes = b"GET",
        path: bytes = b"/health",
        fields: Sequence[tuple[bytes, bytes]] = (),
        statuses: Statuses = PASSING,
        body: BodyPattern | None = None,
    ) -> None:
        super().__init__(pool)
        given = {name.lower() for name, _ in fields}
        usual = [field for field in ((b"Host", host.encode()), *FIELDS) if field[0].lower() not in given]
        if method == b"POST":
            usual.append((b"Content-Length", b"0"))  # RFC 9110 section 8.6
        lines = [method + b" " + path + b" HTTP/1.1", *(name + b": " + value for name, value in (*usual, *fields))]
        self.request = b"\r\n".join(lines) + b"\r\n\r\n"
        self.method = method
        self._statuses = statuses
        self._body = body
        self._seconds = seconds

    def begin(self, ended: Ended) -> "HTTPAttempt":
        """See Check."""
        return HTTPAttempt(self, self._pool, ended)

    def judge(self, status: int, body: bytes) -> Finding:
        """What an answer is worth; ``body`` may be cut off."""
        what = f"the check was answered {status}"
        if not self._statuses.include(status):
            return Finding(False, what, status)
        if self._body is None:
            return Finding(True, what, status)
        try:
            found = self._body.found_in(body, self._seconds)
        except PatternTooSlow:
            return Finding(False, f"{what}, but to search its body of {len(body)} bytes for {str(self._body)!r} takes too long", status)
        return Finding(found, what if found else f"{what}, but {str(self._body)!r} is not in its body", status)


class HTTPAttempt(Attempt):
    """A check over HTTP that is being made: an AnswerReceiver too."""

    def __init__(self, check: HTTPCheck, pool: ConnectionPool, ended: Ended) -> None:
        super().__init__(pool, ended)
        self._check = check
        self._status = 0
        self._chunks: list[bytes] = []
        self._room = MAX_BODY_BYTES

    def established(self, connection: ClientConnection) -> None:
        connection.send(self._check.request, self._check.method, self)

    # AnswerReceiver

    def answer_interim(self, head: ResponseHead) -> None:
        """Nothing was asked that an interim answer could change."""

    def answer_received(self, head: ResponseHead, data: bytes, ended: bool) -> None:
        self._status = head.status
        self.answer_data(data, ended)

    def answer_data(self, data: bytes, ended: bool) -> None:
        self._chunks.append(data[: self._room])
        self._room -= len(data)
        if ended or self._room <= 0:
            if not ended and self._connection is not None:
                self._connection.abort()
            self._end(self._check.judge(self._status, b"".join(self._chunks)))

    def answer_failed(self, error: UpstreamError) -> None:
        self.fail(error)

    def upload_paused(self) -> None:
        """The whole request was handed over at once."""

    def upload_resumed(self) -> None:
        """Nothing more is to come."""
