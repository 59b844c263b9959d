"""One connection to a server that speaks RESP: calls are pipelined, replies come in the order of the calls.

    open --call--> a reply is owed, until ``timeout_s`` is over
         --reply--> the oldest call's    --push--> the owner's    --anything wrong--> closed: every call that is owed a reply fails

There is no telling which call a late reply belongs to once one was given up, so a call whose time is over closes the connection;
one that was cancelled is still owed its reply, which nobody reads then. What is written in one turn of the event loop is sent together:
the lean transports see to that on the lean reactor, and we do so on others.
"""

import re
from collections import deque
from collections.abc import Callable
from copy import copy
from typing import Any, Protocol

import hiredis
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from scalability.errors import AnswerTimeout, BadAnswer, CommandRefused, DependencyDown, NoAnswer, Overloaded, ScalelabError
from scalability.lifecycle import DeadlineWheel, MovingDeadline

Word = bytes | str | int | float
"""A word of a command; text is sent as UTF-8."""

Reply = Any
"""bytes, int, float, bool, None, or a list or dict of such. An error within an EXEC or a pipeline is a CommandRefused in its place."""

MAX_CALLS = 10_000
MAX_CALLS_BYTES = 64 << 20
"""Calls, and bytes of calls, that wait for their replies at most; one more fails with Overloaded."""

MAX_REPLY_BYTES = 64 << 20
"""Of what arrives without a whole reply in it; above that the connection is closed."""

_MILLIONS = re.compile(rb"[*%~>|][0-9]{7}").match
"""A list or map of a million elements or more: hiredis makes room for what is announced, before it comes."""

_INCOMPLETE = object()

_pack: Callable[[tuple[Word, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]  # its type says one word


class Owner(Protocol):
    """Who has a connection, or is having it opened. It hears nothing of one that it closes itself."""

    def push_received(self, message: list[Any]) -> None:
        """The server says something that was not asked for (RESP3): the kind, then its parts."""

    def connection_closed(self, connection: "RespConnection", error: ScalelabError) -> None:
        """The connection is over. Called before its calls fail, so that whatever they lead to finds it gone."""


class _Call:
    """One call, or several that were made together: ``wanted`` replies are missing; None: it is a single one."""

    __slots__ = ("deferred", "due", "replies", "size", "wanted")

    def __init__(self, deferred: "Deferred[Any]", due: int, size: int, wanted: int) -> None:
        self.deferred = deferred
        self.due = due
        self.size = size
        self.wanted = wanted
        self.replies: list[Reply] | None = None


class RespConnection(TwistedProtocol):
    """Calls take ``timeout_s`` at most, late by up to two ticks of ``wheel``, which must be running. See ``client_opening``."""

    transport: Any

    def __init__(self, clock: Any, wheel: DeadlineWheel, owner: Owner, *, timeout_s: float, max_calls: int = MAX_CALLS) -> None:
        self.made: Deferred[RespConnection] = Deferred()
        """Fires when the connection, and TLS on it, stands."""
        self.closed = False
        self.replies = 0
        """How many came."""
        self._clock = clock
        self._owner = owner
        self._wheel = wheel
        self._ticks = wheel.ticks(timeout_s)
        self._deadline = MovingDeadline(wheel, self._look)
        self._max_calls = max_calls
        self._calls: deque[_Call] = deque()
        self._bytes = 0
        self._unread = 0
        self._unsent: list[bytes] = []
        self._joins = False
        reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._feed, self._gets = reader.feed, reader.gets

    @property
    def waiting(self) -> int:
        """Calls that are owed a reply."""
        return len(self._calls)

    def call(self, *words: Word) -> Deferred[Reply]:
        """Send a command; fires with its reply.

        Fails with CommandRefused when the server answers with an error, AnswerTimeout, NoAnswer, BadAnswer or DependencyDown when the
        connection ends, Overloaded when too many calls wait.
        """
        return self._send(_pack(words), 0)

    def pipeline(self, *commands: tuple[Word, ...]) -> Deferred[list[Reply]]:
        """Send commands behind each other; fires with all their replies, errors (CommandRefused) in their places."""
        if not commands:
            return succeed([])
        return self._send(b"".join([_pack(words) for words in commands]), len(commands))

    def _send(self, data: bytes, wanted: int) -> Deferred[Any]:
        if self.closed:
            return fail(DependencyDown())
        size = len(data)
        if len(self._calls) >= self._max_calls or self._bytes + size > MAX_CALLS_BYTES:
            return fail(Overloaded())
        deferred: Deferred[Any] = Deferred(_cancelled)
        if not self._calls:
            self._deadline.move(self._ticks)
        self._calls.append(_Call(deferred, self._wheel.turned_to + self._ticks, size, wanted))
        self._bytes += size
        if self._joins:
            self.transport.write(data)
        else:
            if not self._unsent:
                self._clock.callLater(0, self._flush)
            self._unsent.append(data)
        return deferred

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if not self.closed:
            self.transport.write(b"".join(unsent))

    def close(self, error: ScalelabError | None = None) -> None:
        """End it; calls that are owed a reply fail with ``error``. Harmless when done twice."""
        if not self.closed:
            self.closed = True
            self.transport.abortConnection()
            self._fail_all(error or DependencyDown())

    def _fail_all(self, error: ScalelabError) -> None:
        self._deadline.cancel()
        calls, self._calls = self._calls, deque()
        self._bytes = 0
        for call in calls:
            if not call.deferred.called:
                call.deferred.errback(copy(error))  # each grows a traceback of its own

    def _broken(self, error: ScalelabError) -> None:
        if not self.closed:
            self.closed = True
            self.transport.abortConnection()
            self._owner.connection_closed(self, error)
            self._fail_all(error)

    def _look(self) -> None:
        if not self._calls:
            return
        left = self._calls[0].due - self._wheel.turned_to
        if left > 0:
            self._deadline.move(left)
        else:
            self._broken(AnswerTimeout())

    # twisted's Protocol

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self._joins = getattr(getattr(self.transport, "reactor", None), "unsent", None) is not None
        self._stands()

    def _stands(self) -> None:
        if not self.made.called:
            self.made.callback(self)

    def dataReceived(self, data: bytes) -> None:
        if self.closed:
            return
        if not self._unread and _MILLIONS(data):
            self._broken(BadAnswer("A server behind this one announced a larger answer than can be used."))
            return
        self._feed(data)
        self._unread += len(data)
        gets = self._gets
        while True:
            try:
                reply = gets()
            except hiredis.HiredisError as error:
                self._broken(_caused(BadAnswer("The server behind this one does not speak RESP."), error))
                return
            if reply is _INCOMPLETE:
                break
            self._unread = 0
            if type(reply) is hiredis.PushNotification:
                self._owner.push_received(reply)
            else:
                self._reply_received(reply)
            if self.closed:
                return
        if self._unread > MAX_REPLY_BYTES:
            self._broken(BadAnswer("A server behind this one sent a larger answer than can be used."))

    def _reply_received(self, reply: Reply) -> None:
        self.replies += 1
        if not self._calls:
            self._broken(BadAnswer("A server behind this one answered what it was not asked."))
            return
        call = self._calls[0]
        refused: CommandRefused | None = None
        if isinstance(reply, hiredis.ReplyError):
            reply = refused = CommandRefused(reply=str(reply))
        elif type(reply) is list:
            for place, part in enumerate(reply):
                if isinstance(part, hiredis.ReplyError):
                    reply[place] = refused = CommandRefused(reply=str(part))
        if call.wanted:
            if call.replies is None:
                call.replies = []
            call.replies.append(reply)
            if len(call.replies) == call.wanted:
                self._done(call, call.replies)
        else:
            self._done(call, reply)
        if refused is not None and refused.not_a_master and not self.closed:
            self._broken(refused)

    def _done(self, call: _Call, result: Any) -> None:
        self._calls.popleft()
        self._bytes -= call.size
        if not self._calls:
            self._deadline.stop()
        if call.deferred.called:
            return  # cancelled
        if isinstance(result, CommandRefused):
            call.deferred.errback(result)
        else:
            call.deferred.callback(result)

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        if not self.made.called:
            self.made.errback(reason)
        if not self.closed:
            self.closed = True
            error = _caused(NoAnswer(), reason.value)
            self._owner.connection_closed(self, error)
            self._fail_all(error)


@implementer(IHandshakeListener)
class SecureRespConnection(RespConnection):
    """A connection under TLS: it stands once the handshake is done and the server is the one that was meant."""

    def _stands(self) -> None:
        """The handshake comes first."""

    def handshakeCompleted(self) -> None:
        super()._stands()


def _cancelled(_: "Deferred[Any]") -> None:
    """Its reply will come all the same, and is dropped then."""


def _caused(error: ScalelabError, cause: BaseException | None) -> ScalelabError:
    error.__cause__ = cause
    return error
