"""A client of Redis, Valkey and our own cache server: one pipelined connection that is kept open, and one for transactions.

    stopped --start--> opening --> connected --lost--> pause --> opening ...
                          '--failed--> pause (longer each time, with chance in it)

Calls while it is not connected fail at once; only those that come before the first attempt has ended wait for that, within their own
time. A connection on which nothing comes for a second is asked something: so one that has died without a word, and a master that
has become a replica, are found out in a second and ``timeout_s``.
"""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.config import Address
from scalability.errors import AnswerTimeout, CommandRefused, DependencyDown, Overloaded, ScalelabError, TLSFailed
from scalability.lifecycle import DeadlineWheel, Ticker
from scalability.resp.client_connection import MAX_CALLS, Reply, RespConnection, Word
from scalability.resp.client_exclusive import ExclusiveConnection, Use
from scalability.resp.client_opening import Greeting, Opened, Opener, Secure, is_master

CHECK_S = 1.0
"""How long nothing may come on a connection before it is asked something, in seconds."""


class Listener(Protocol):
    """Who wants to know of the connection, and of what the server pushes."""

    def connected(self, client: "RespClient") -> None:
        """There is a new connection; calls made now are the first ones on it."""

    def lost(self) -> None:
        """The connection is gone. Called before its calls fail."""

    def pushed(self, message: list[Any]) -> None:
        """The server says something unasked (RESP3): the kind as bytes, then its parts."""


class RespClient(MultiService):
    """Talks to that one of ``servers`` which is a master. It must run, and so must ``wheel``.

    A call has ``timeout_s`` for its reply, late by up to two ticks of ``wheel``; a server has ``connect_timeout_s`` to greet.
    ``pause_s`` gives, of a number of failures (from 1) and a random number in [0, 1) of ``draw``, the seconds before the next attempt.
    ``secure`` makes, of a host's name, what wraps its connections into TLS.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        servers: tuple[Address, ...],
        wheel: DeadlineWheel,
        *,
        timeout_s: float,
        pause_s: Callable[[int, float], float],
        draw: Callable[[], float],
        greeting: Greeting | None = None,
        connect_timeout_s: float = 1.0,
        max_calls: int = MAX_CALLS,
        secure: Callable[[str], Secure] | None = None,
    ) -> None:
        super().__init__()
        self.listener: Listener | None = None
        self.connects = 0
        """Connections that stood."""
        self.failed_attempts = 0
        """Attempts to make one that failed."""
        self._reactor = reactor
        self._wheel = wheel
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._draw = draw
        self._max_calls = max_calls
        self._opener = Opener(
            reactor, wheel, servers, greeting or Greeting(), timeout_s=timeout_s, connect_timeout_s=connect_timeout_s, secure=secure
        )
        self._opened: Opened | None = None
        self._connection: RespConnection | None = None
        self._opening: Deferred[Any] | None = None
        self._next: IDelayedCall | None = None
        self._failures = 0
        self._early: dict[Deferred[None], None] | None = None
        """Who waits for the first attempt, while that is under way."""
        self._replies_seen = 0
        self._exclusive = ExclusiveConnection(self._open_exclusive, self._exclusive_lost, wheel, timeout_s=timeout_s)
        Ticker(reactor, CHECK_S, self._check, now=False).setServiceParent(self)

    # asking

    @property
    def connected(self) -> bool:
        return self._connection is not None

    @property
    def tried(self) -> bool:
        """Whether an attempt to connect has ended, in whatever way."""
        return bool(self.connects or self.failed_attempts)

    @property
    def resp3(self) -> bool:
        """Whether there is a connection on which the server can push."""
        return self._opened is not None and self._opened.resp3

    def call(self, *words: Word) -> Deferred[Reply]:
        """Send a command; fires with its reply.

        Fails with CommandRefused when the reply is an error, DependencyDown when there is no connection, AnswerTimeout, NoAnswer
        or BadAnswer when it ends before the reply, Overloaded when too many calls wait.
        """
        connection = self._connection
        if connection is not None:
            return connection.call(*words)
        return self._later(lambda: self.call(*words))

    def pipeline(self, *commands: tuple[Word, ...]) -> Deferred[list[Reply]]:
        """Send commands behind each other, with no other call between; fires with their replies, CommandRefused for errors.

        Fails as ``call`` does, but for the errors of single commands.
        """
        connection = self._connection
        if connection is not None:
            return connection.pipeline(*commands)
        return self._later(lambda: self.pipeline(*commands))

    def exclusive(self) -> Use:
        """A second connection, for one user at a time: ``async with client.exclusive() as connection``. See ``client_exclusive``."""
        return self._exclusive.use()

    # life

    def startService(self) -> None:
        super().startService()
        if self._opening is None and self._connection is None:
            self._early = {}
            self._open()

    def stopService(self) -> Any:  # Twisted's type: a Deferred, or None
        """Close both connections; what waits for a reply fails."""
        stopped = super().stopService()
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._opening is not None:
            self._opening.cancel()
        self._end(DependencyDown("this client was closed"), close=True)
        self._begun()
        return stopped

    def _open(self) -> None:
        self._next = None
        opening = self._opening = Deferred.fromCoroutine(self._opener.open_master(self))
        opening.addCallbacks(self._stands, self._not_opened)

    def _stands(self, opened: Opened) -> None:
        self._opening = None
        if opened.connection.closed:  # in the same breath
            self._not_opened(Failure(DependencyDown()))
            return
        self._opened = opened
        self._connection = opened.connection
        self._replies_seen = opened.connection.replies
        self.connects += 1
        self._failures = 0
        self.log.info("connected to the cache at {server}", server=str(opened.server))
        if self.listener is not None:
            self.listener.connected(self)
        self._begun()

    def _not_opened(self, failure: Failure) -> None:
        self._opening = None
        if not self.running:
            return
        self._failures += 1
        self.failed_attempts += 1
        if self._failures == 1:
            self.log.warn("the cache cannot be reached: {why}; it is tried again and again", why=reason_of(failure.value))
        self._next = self._reactor.callLater(self._pause_s(self._failures, self._draw()), self._open)
        self._begun()

    def _begun(self) -> None:
        """The first attempt has ended, in whatever way."""
        early, self._early = self._early, None
        for waiter in early or ():
            if not waiter.called:
                waiter.callback(None)

    def _later(self, work: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        early = self._early
        if early is None:
            return fail(DependencyDown("the cache cannot be reached; try again later"))
        if len(early) >= self._max_calls:
            return fail(Overloaded())
        waiter: Deferred[None] = Deferred(lambda gone: early.pop(gone, None))
        early[waiter] = None

        def expired() -> None:
            early.pop(waiter, None)
            waiter.errback(AnswerTimeout())

        deadline = self._wheel.after(self._timeout_s, expired)

        def ended(result: Any) -> Any:
            deadline.cancel()
            return result

        waiter.addBoth(ended)
        return waiter.addCallback(lambda _: work())

    def _end(self, error: ScalelabError, *, close: bool) -> None:
        connection, self._connection = self._connection, None
        self._opened = None
        if connection is None:
            return
        if self.listener is not None:
            self.listener.lost()
        if close:
            connection.close(error)
        self._exclusive.close(error)

    def _lost(self, error: ScalelabError, *, close: bool) -> None:
        self.log.warn("lost the connection to the cache: {why}", why=reason_of(error))
        self._end(error, close=close)
        if self.running and self._next is None and self._opening is None:
            self._next = self._reactor.callLater(self._pause_s(1, self._draw()), self._open)

    # the connection's Owner

    def push_received(self, message: list[Any]) -> None:
        if self.listener is not None:
            self.listener.pushed(message)

    def connection_closed(self, connection: RespConnection, error: ScalelabError) -> None:
        if connection is self._connection:
            self._lost(error, close=False)

    # the exclusive one

    async def _open_exclusive(self, owner: Any) -> Opened:
        opened = self._opened
        if opened is None:
            raise DependencyDown("the cache cannot be reached; try again later")
        return await self._opener.open(opened.server, owner)

    def _exclusive_lost(self, error: ScalelabError) -> None:
        if isinstance(error, CommandRefused) and self._connection is not None:
            self._lost(error, close=True)  # no master any more

    # is it alive, and a master?

    def _check(self) -> None:
        opened = self._opened
        if opened is None:
            return
        connection = opened.connection
        seen, self._replies_seen = self._replies_seen, connection.replies
        if connection.replies == seen:
            asked = connection.call("ROLE" if opened.has_role else "PING")
            asked.addCallbacks(self._checked, lambda _: None, callbackArgs=(connection,))

    def _checked(self, reply: Reply, connection: RespConnection) -> None:
        if isinstance(reply, list) and not is_master(reply) and connection is self._connection:
            self._lost(DependencyDown("the server is a replica now"), close=True)


def reason_of(error: BaseException | None) -> str:
    """Why something failed, for logs, never for clients."""
    if isinstance(error, CommandRefused):
        return error.reply
    cause = None if error is None else error.__cause__
    if isinstance(error, TLSFailed) and cause is not None:
        from scalability.net.tls import why_not_met  # loads OpenSSL, which most do without

        return why_not_met(cause)
    return f"{error}" if cause is None else f"{error} ({cause})"
