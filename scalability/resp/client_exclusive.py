"""A connection for one user at a time: WATCH and MULTI belong to a connection, not to a call.

    async with client.exclusive() as connection:
        await connection.call("WATCH", key)
        value = await connection.call("GET", key)
        *_, done = await connection.pipeline(("MULTI",), ("SET", key, changed), ("EXEC",))
        # done is None when another client has changed the key meanwhile: try again

It is opened for the first user and then kept. Whoever finds it taken waits, for ``timeout_s`` at most. A user that leaves by an
exception, a cancellation too, may have left anything half done: the connection is closed then, and opened anew for the next one.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any

from twisted.internet.defer import Deferred

from scalability.errors import AnswerTimeout, DependencyDown, Overloaded, ScalelabError
from scalability.lifecycle import DeadlineWheel
from scalability.resp.client_connection import Owner, RespConnection
from scalability.resp.client_opening import Opened

MAX_WAITERS = 1_000
"""One more fails with Overloaded."""


class ExclusiveConnection:
    """The connection and the queue before it. ``open`` gives a new connection, ``lost`` is told why one ended unasked."""

    def __init__(
        self,
        open_connection: Callable[[Owner], Awaitable[Opened]],
        lost: Callable[[ScalelabError], None],
        wheel: DeadlineWheel,
        *,
        timeout_s: float,
        max_waiters: int = MAX_WAITERS,
    ) -> None:
        self.taken = False
        self._open = open_connection
        self._lost = lost
        self._wheel = wheel
        self._timeout_s = timeout_s
        self._max_waiters = max_waiters
        self._closings = 0
        self._waiters: deque[Deferred[None]] = deque()
        self._connection: RespConnection | None = None

    @property
    def waiting(self) -> int:
        """How many wait for it."""
        return len(self._waiters)

    def use(self) -> "Use":
        """To be entered with ``async with``: the RespConnection. Fails with a ScalelabError when it cannot be had in time."""
        return Use(self)

    def close(self, error: ScalelabError | None = None) -> None:
        """Close the connection; calls on it, and whoever waits for it, fail. It can be used again."""
        self._closings += 1
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(error)
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            waiter.errback(error or DependencyDown())

    async def take(self) -> RespConnection:
        """Wait for it and have it: ``give_back`` must follow, unless this fails."""
        if self.taken:
            await self._wait()
        self.taken = True
        try:
            if self._connection is None or self._connection.closed:
                closings = self._closings
                opened = await self._open(self)
                if self._closings != closings:
                    # meant for a server that was left meanwhile
                    opened.connection.close()
                    raise DependencyDown
                self._connection = opened.connection
        except BaseException:
            self._pass_on()
            raise
        return self._connection

    def give_back(self, *, clean: bool) -> None:
        """The user has left; ``clean``: without an exception."""
        connection = self._connection
        if connection is not None and not connection.closed:
            if clean:
                # What was watched is so no longer. OK says that no MULTI is open either; anything else, that the user forgot its EXEC.
                connection.call("UNWATCH").addCallbacks(self._unwatched, lambda _: None, callbackArgs=(connection,))
            else:
                self._connection = None
                connection.close()
        self._pass_on()

    def _unwatched(self, reply: Any, connection: RespConnection) -> None:
        if reply != b"OK":
            connection.close()

    def _pass_on(self) -> None:
        if self._waiters:
            self._waiters.popleft().callback(None)  # it stays taken
        else:
            self.taken = False

    async def _wait(self) -> None:
        if len(self._waiters) >= self._max_waiters:
            raise Overloaded
        waiter: Deferred[None] = Deferred(self._waiters.remove)

        def expired() -> None:
            self._waiters.remove(waiter)
            waiter.errback(AnswerTimeout())

        self._waiters.append(waiter)
        deadline = self._wheel.after(self._timeout_s, expired)
        try:
            await waiter
        finally:
            deadline.cancel()

    # Owner

    def push_received(self, message: list[Any]) -> None:
        """Nothing is asked for that would be pushed here."""

    def connection_closed(self, connection: RespConnection, error: ScalelabError) -> None:
        if connection is self._connection:
            self._connection = None
            self._lost(error)


class Use(AbstractAsyncContextManager[RespConnection]):
    """One use, once."""

    def __init__(self, exclusive: ExclusiveConnection) -> None:
        self._exclusive = exclusive

    async def __aenter__(self) -> RespConnection:
        return await self._exclusive.take()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._exclusive.give_back(clean=kind is None)
