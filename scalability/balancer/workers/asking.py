"""Questions to all workers of which one may know the answer: the first that does is heard, and nobody is waited for longer than 1 s."""

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from scalability.errors import Overloaded

DEADLINE_S = 1.0
MOST = 100
"""Questions at a time."""

Answer = list[dict[str, Any]]


class _Open:
    """A question that is on its way."""

    def __init__(self, waiter: Deferred[Answer], timer: IDelayedCall) -> None:
        self.waiter = waiter
        self.timer = timer
        self.missing: set[int] = set()


class Questions:
    """``send(number, what)`` asks every worker, and returns those that will answer."""

    def __init__(self, clock: IReactorTime, send: Callable[[int, str], Iterable[int]]) -> None:
        self._clock = clock
        self._send = send
        self._count = 0
        self._open: dict[int, _Open] = {}

    def ask(self, what: str) -> Deferred[Answer]:
        """What the first worker says that knows something; nothing when none does. Raises Overloaded."""
        if len(self._open) >= MOST:
            raise Overloaded("Too many such questions are being asked at the moment; ask again later.")
        self._count += 1
        number = self._count
        waiter: Deferred[Answer] = Deferred(lambda _: self._forget(number))
        asked = self._open[number] = _Open(waiter, self._clock.callLater(DEADLINE_S, self._end, number, []))
        asked.missing = set(self._send(number, what))
        if not asked.missing:
            self._end(number, [])
        return waiter

    def answered(self, worker: int, number: int, answer: Answer) -> None:
        """``worker`` says so; an empty answer when it knows nothing."""
        asked = self._open.get(number)
        if asked is None or worker not in asked.missing:
            return
        asked.missing.discard(worker)
        if answer or not asked.missing:
            self._end(number, answer)

    def gone(self, worker: int) -> None:
        """``worker`` will not answer."""
        for number in list(self._open):
            self.answered(worker, number, [])

    def stop(self) -> None:
        """Wait for nobody any more."""
        for number in list(self._open):
            self._end(number, [])

    def _end(self, number: int, answer: Answer) -> None:
        waiter = self._open[number].waiter
        self._forget(number)
        waiter.callback(answer)

    def _forget(self, number: int) -> None:
        timer = self._open.pop(number).timer
        if timer.active():
            timer.cancel()
