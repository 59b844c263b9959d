"""At most N pieces of work at once, a bounded FIFO queue for the next ones, and a clear no for the rest."""

from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar, cast

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.python.failure import Failure

from scalability.errors import Overloaded

T = TypeVar("T")

Work = Callable[[], Deferred[T] | Coroutine[Deferred[Any], Any, T]]


class _Waiter(Generic[T]):
    """One caller in the queue; ``doing`` is its work once that has begun. Compared and hashed by identity."""

    __slots__ = ("answer", "doing", "work")

    def __init__(self, work: Work[T], gave_up: Callable[["_Waiter[T]"], None]) -> None:
        self.work = work
        self.doing: Deferred[T] | None = None
        self.answer: Deferred[T] = Deferred(lambda _: gave_up(self))

    def done(self, result: T | Failure) -> None:
        # work that goes on although it was cancelled ends when nobody waits for it any more
        if not self.answer.called:
            self.answer.callback(result)


class Places:
    """``run`` starts work while fewer than ``limit`` pieces run; up to ``queue_limit`` callers wait, first come, first served.

    A caller that cancels while it waits gives its place in the queue up; one that cancels while its work runs cancels the work,
    and the place is free when the work has ended.
    """

    def __init__(self, limit: int, queue_limit: int = 1000) -> None:
        if limit < 1 or queue_limit < 0:
            raise ValueError("there must be at least one place, and no fewer than 0 in the queue")
        self.limit = limit
        self.queue_limit = queue_limit
        self.running = 0
        self._queue: OrderedDict[_Waiter[Any], None] = OrderedDict()
        self._filling = False

    @property
    def waiting(self) -> int:
        """How many callers stand in the queue."""
        return len(self._queue)

    def run(self, work: Work[T]) -> Deferred[T]:
        """Do ``work`` now, or once a place is free; its result. Fails with Overloaded when the queue is full."""
        if self.running < self.limit and not self._queue:
            return self._start(work)
        if len(self._queue) >= self.queue_limit:
            return fail(Overloaded())
        waiter: _Waiter[T] = _Waiter(work, self._gave_up)
        self._queue[waiter] = None
        return waiter.answer

    def _gave_up(self, waiter: _Waiter[Any]) -> None:
        if waiter.doing is None:
            del self._queue[waiter]
        else:
            waiter.doing.cancel()

    def _start(self, work: Work[T]) -> Deferred[T]:
        self.running += 1
        doing: Deferred[T] = maybeDeferred(cast("Callable[[], Deferred[T]]", work))
        return doing.addBoth(self._ended)

    def _ended(self, result: T | Failure) -> T | Failure:
        self.running -= 1
        if self._filling:
            # work that ended within _start below; the loop there goes on, instead of a thousand frames on the stack
            return result
        self._filling = True
        try:
            while self._queue and self.running < self.limit:
                waiter, _ = self._queue.popitem(last=False)
                waiter.doing = self._start(waiter.work)
                waiter.doing.addBoth(waiter.done)
        finally:
            self._filling = False
        return result
