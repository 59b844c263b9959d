"""Concurrent requests for the same thing are one piece of work with many waiters."""

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class _Flight(Generic[T]):
    __slots__ = ("running", "waiters")

    def __init__(self) -> None:
        self.running: Deferred[T] | None = None
        self.waiters: dict[Deferred[T], None] = {}


class SingleFlight(Generic[K, T]):
    """``do`` starts work for a key or joins the work that is under way for it.

    Each waiter has a Deferred of its own: one that is cancelled leaves alone, and the work goes on even when
    all have left, as the next one will want its result. All waiters get the work's result or its failure.
    """

    def __init__(self) -> None:
        self._flights: dict[K, _Flight[T]] = {}
        self.joined = 0
        """How many waiters found the work under way."""

    def __len__(self) -> int:
        """How many pieces of work are under way."""
        return len(self._flights)

    def __contains__(self, key: K) -> bool:
        """Whether work for ``key`` is under way."""
        return key in self._flights

    def do(self, key: K, work: Callable[[], Coroutine[Deferred[Any], Any, T]]) -> Deferred[T]:
        """The result of ``work`` for ``key``; it is called only when none is under way."""
        flight = self._flights.get(key)
        if flight is not None:
            self.joined += 1
            return self._wait(flight)
        flight = self._flights[key] = _Flight()
        waiter = self._wait(flight)
        running = flight.running = Deferred.fromCoroutine(work())
        running.addBoth(self._landed, key, flight)
        return waiter

    def start(self, key: K, work: Callable[[], Coroutine[Deferred[Any], Any, T]]) -> None:
        """``do`` for nobody in particular: the failure of the work is nobody's either."""
        if key not in self._flights:
            self.do(key, work).addErrback(lambda _: None)

    def cancel(self) -> None:
        """End all work; its waiters get the CancelledError."""
        for flight in list(self._flights.values()):
            if flight.running is not None:
                flight.running.cancel()

    def _wait(self, flight: _Flight[T]) -> Deferred[T]:
        waiter: Deferred[T] = Deferred(flight.waiters.pop)
        flight.waiters[waiter] = None
        return waiter

    def _landed(self, result: T | Failure, key: K, flight: _Flight[T]) -> None:
        del self._flights[key]
        for waiter in list(flight.waiters):
            if not waiter.called:  # the callbacks of one before it may have cancelled it
                waiter.callback(result)
