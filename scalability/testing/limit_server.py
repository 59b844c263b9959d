"""A server of rate limits in memory: the few commands of RESP that shared cells use, with WATCH as Redis has it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock, fail, succeed
from twisted.internet.task import Clock

from scalability.errors import DependencyDown, ScalelabError
from scalability.gateway.rate_limits.fields import Limit
from scalability.gateway.rate_limits.gcra import Rate, Verdict
from scalability.gateway.rate_limits.shared import SharedLimits
from scalability.gateway.rate_limits.shared_cells import SharedCells
from scalability.gateway.rate_limits.store import MemoryLimits

_NS_IN_US = 1000
_S = 1_000_000_000

TIMEOUT_S = 0.1
"""What ``LimitingGateway`` waits for the server."""


class PlayedLimitServer:
    """Several ``connection``s share what it keeps. ``now_ns`` is the time that it tells.

    ``broken``: what every call fails with. ``held``: calls wait in ``waiting`` until ``release``. ``between`` is called before
    each EXEC, once: a test that wants somebody else to come between sets it.
    """

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.changes: dict[bytes, int] = {}
        self.live_ms: dict[bytes, int] = {}
        self.now_ns = 1_700_000_000_000_000_000
        self.broken: ScalelabError | None = None
        self.held = False
        self.waiting: list[Callable[[], None]] = []
        self.between: Callable[[], None] | None = None
        self.pipelines: list[tuple[tuple[Any, ...], ...]] = []
        """All that were sent, by all connections."""
        self.told: Any = None
        """What it answers to TIME instead of the time."""

    def connection(self) -> "PlayedLimitClient":
        """A client with a connection of its own."""
        return PlayedLimitClient(self)

    def set(self, key: bytes, value: bytes) -> None:
        """As any other client might."""
        self.values[key] = value
        self.changes[key] = self.changes.get(key, 0) + 1

    def release(self) -> None:
        """Answer what waits, and hold nothing any more."""
        self.held = False
        waiting, self.waiting = self.waiting, []
        for answer in waiting:
            answer()

    def run(self, session: "_Session", commands: tuple[tuple[Any, ...], ...]) -> Deferred[list[Any]]:
        """Answer ``commands``, now or when released."""
        self.pipelines.append(commands)
        if self.broken is not None:
            return fail(self.broken)
        if not self.held:
            return succeed([session.run(command) for command in commands])
        answer: Deferred[list[Any]] = Deferred(lambda _: None)

        def late() -> None:
            if not answer.called:
                answer.callback([session.run(command) for command in commands])

        self.waiting.append(late)
        return answer


class PlayedLimitClient:
    """The ``LimitServer`` of one gateway."""

    def __init__(self, server: PlayedLimitServer) -> None:
        self._server = server
        self._lock = DeferredLock()
        self.dropped = 0
        """Connections that were left by an error."""

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator["_Session"]:
        """See ``LimitServer``."""
        if self._server.broken is not None:
            raise DependencyDown
        await self._lock.acquire()
        try:
            yield _Session(self._server)
        except BaseException:
            self.dropped += 1
            raise
        finally:
            self._lock.release()


class _Session:
    def __init__(self, server: PlayedLimitServer) -> None:
        self._server = server
        self._watched: dict[bytes, int] = {}
        self._queued: list[tuple[Any, ...]] | None = None

    def pipeline(self, *commands: tuple[Any, ...]) -> Deferred[list[Any]]:
        return self._server.run(self, commands)

    def run(self, command: tuple[Any, ...]) -> Any:
        """One command's reply."""
        server = self._server
        match command:
            case (b"WATCH", *keys):
                self._watched.update((key, server.changes.get(key, 0)) for key in keys)
                return b"OK"
            case (b"MGET", *keys):
                return [server.values.get(key) for key in keys]
            case (b"TIME",):
                seconds, ns = divmod(server.now_ns, 1_000_000_000)
                return server.told or [b"%d" % seconds, b"%d" % (ns // _NS_IN_US)]
            case (b"MULTI",):
                self._queued = []
                return b"OK"
            case (b"SET", _, _, b"PX", _):
                assert self._queued is not None
                self._queued.append(command)
                return b"QUEUED"
            case (b"EXEC",):
                return self._execute()
        raise AssertionError(command)

    def _execute(self) -> Any:
        server = self._server
        between, server.between = server.between, None
        if between is not None:
            between()
        queued, self._queued = self._queued or [], None
        changed = any(server.changes.get(key, 0) != seen for key, seen in self._watched.items())
        self._watched.clear()
        if changed:
            return None
        for _, key, value, _, live_ms in queued:
            server.set(key, value)
            server.live_ms[key] = int(live_ms)
        return [b"OK"] * len(queued)


class LimitingGateway:
    """One of several that share ``server``, with a clock of its own."""

    def __init__(self, server: PlayedLimitServer, rates: Sequence[Rate]) -> None:
        self.clock = Clock()
        self.client = server.connection()
        self.cells = SharedCells(self.client, self.clock, timeout_s=TIMEOUT_S, draw=lambda: 0.5)
        self.cells.startService()
        self.local = MemoryLimits(rates, 1000)
        limits = [Limit(f"l{at}", rate) for at, rate in enumerate(rates)]
        self.store = SharedLimits(limits, ["/a"] * len(rates), self.cells, self.local, self.clock.seconds)

    def send(self, *keys: bytes) -> "LimitedRequest":
        """One request, of the client ``k`` unless ``keys`` says otherwise."""
        return LimitedRequest(self.store.take(keys or (b"k",), int(self.clock.seconds() * _S)))

    def take(self, *keys: bytes) -> Verdict:
        """The same, decided in this turn."""
        asked = self.send(*keys)
        self.clock.advance(0)
        return asked.verdict


class LimitedRequest:
    """A request that was asked about; ``outcomes`` holds what came of it, once that is known."""

    def __init__(self, answer: Verdict | Deferred[Verdict]) -> None:
        self.answer = answer
        self.outcomes: list[Any] = [answer] if isinstance(answer, Verdict) else []
        if isinstance(answer, Deferred):
            answer.addBoth(self.outcomes.append)

    @property
    def verdict(self) -> Verdict:
        """It must be known."""
        (outcome,) = self.outcomes
        assert isinstance(outcome, Verdict), outcome
        return outcome
