"""A bounded pool of threads that its service owns, for calls that block."""

from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from scalability.errors import Overloaded

T = TypeVar("T")


class _Call(Generic[T]):
    """States: waiting, running, over. ``answer`` is None once the caller has cancelled."""

    __slots__ = ("answer", "function", "running")

    def __init__(self, function: Callable[[], T], answer: Deferred[T]) -> None:
        self.function = function
        self.answer: Deferred[T] | None = answer
        self.running = False


class Threads(Service):
    """At most ``size`` calls at once, each on a thread, and at most ``limit`` waiting for one.

    Twisted's own pool joins its threads when it stops, so that one hung call keeps the process alive for ever. These
    threads are daemons: stopping waits ``grace_s`` for the calls in progress and then leaves them to the end of the process.
    ``reactor`` provides IReactorTime and IReactorFromThreads; every method is called on its thread.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        size: int,
        *,
        name: str,
        limit: int = 1000,
        grace_s: float = 5.0,
        returned: Callable[[], None] = lambda: None,
    ) -> None:
        self._reactor = reactor
        self._size = size
        self._name = name
        self._limit = limit
        self._grace_s = grace_s
        self._returned = returned
        self._work: SimpleQueue[_Call[Any] | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._waiting: deque[_Call[Any]] = deque()
        self._busy = 0
        self._abandoned = 0
        self._idle: Deferred[None] | None = None

    @property
    def busy(self) -> int:
        """How many threads run a call now."""
        return self._busy

    @property
    def abandoned(self) -> int:
        """How many of these run a call whose caller has cancelled: a thread cannot be interrupted."""
        return self._abandoned

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def run(self, function: Callable[[], T]) -> Deferred[T]:
        """Call ``function`` on a thread; fires with what it returns or raises.

        Cancelling takes a waiting call out; a running one goes on, its outcome is dropped, and it counts as
        ``abandoned`` until it returns (``returned`` is called then). Overloaded when too many wait, or when stopped.
        """
        if not self.running:
            return fail(Overloaded(f"the {self._name} threads are not running"))
        if self._busy >= self._size and len(self._waiting) >= self._limit:
            return fail(Overloaded())

        def cancel(_: Deferred[T]) -> None:
            call.answer = None
            if call.running:
                self._abandoned += 1
            else:
                self._waiting.remove(call)

        answer: Deferred[T] = Deferred(cancel)
        call = _Call(function, answer)
        self._waiting.append(call)
        self._next()
        return answer

    def stopService(self) -> Deferred[None]:
        super().stopService()
        while self._waiting:
            answer = self._waiting.popleft().answer
            if answer is not None:
                answer.errback(Overloaded(f"the {self._name} threads have stopped"))
        for _ in self._threads:
            self._work.put(None)
        if self._threads:
            self._threads = []
        if not self._busy:
            return succeed(None)
        idle: Deferred[None] = Deferred()
        self._idle = idle

        def leave() -> None:
            self.log.warn("{busy} calls of the {name} threads did not end in time", busy=self._busy, name=self._name)
            self._fire_idle()

        limit = self._reactor.callLater(self._grace_s, leave)

        def ended(_: None) -> None:
            if limit.active():
                limit.cancel()

        return idle.addCallback(ended)

    def _fire_idle(self) -> None:
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.callback(None)

    def _next(self) -> None:
        while self._waiting and self._busy < self._size:
            call = self._waiting.popleft()
            call.running = True
            self._busy += 1
            if len(self._threads) < self._busy:
                thread = Thread(target=self._loop, name=f"{self._name}-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._work.put(call)

    def _loop(self) -> None:
        while (call := self._work.get()) is not None:
            try:
                value = call.function()
            except BaseException as error:
                # whatever it is, SystemExit of a task included, belongs to the caller and not to this thread
                self._reactor.callFromThread(self._over, call, None, error)
            else:
                self._reactor.callFromThread(self._over, call, value, None)
            del call

    def _over(self, call: _Call[Any], value: Any, error: BaseException | None) -> None:
        self._busy -= 1
        answer = call.answer
        if answer is None:
            self._abandoned -= 1
        elif error is not None:
            answer.errback(error)
        else:
            answer.callback(value)
        if self.running:
            self._next()
        if not self._busy:
            self._fire_idle()
        self._returned()
