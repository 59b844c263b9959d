"""Deadlines of thousands of connections in one coarse wheel, driven by one LoopingCall.

A ``callLater`` per phase of each request costs microseconds and heap space; a wheel slot costs a
dictionary entry. (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987.)
"""

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from scalability.lifecycle.ticker import Ticker

BATCH = 4
"""As many callbacks are made before the event loop has its turn: thousands that are due at once, an attack's, must not hold up the rest.
More than that are spread over half a tick: 250 that end at once, four times a second, took honest clients' p99 from 0.5 to 4 ms."""


class Deadline:
    """One pending call; ``cancel`` it as often as you like."""

    __slots__ = ("_slot", "expired")

    def __init__(self, slot: dict["Deadline", None], expired: Callable[[], None]) -> None:
        self._slot: dict[Deadline, None] | None = slot
        self.expired = expired
        slot[self] = None

    @property
    def active(self) -> bool:
        return self._slot is not None

    def cancel(self) -> None:
        if self._slot is not None:
            del self._slot[self]
            self._slot = None

    def _detach(self) -> None:
        self._slot = None


class DeadlineWheel(Ticker):
    """Calls back late by less than two ticks, two and a half when many are due at once; never early. ``tick_s``: its resolution in seconds.

    Slots exist only for ticks that something is due at, so that a far deadline costs what a near one does.
    """

    def __init__(self, clock: IReactorTime, *, tick_s: float = 0.25) -> None:
        super().__init__(clock, tick_s, self.turn, now=False)
        self._tick_s = tick_s
        self._due: dict[int, dict[Deadline, None]] = {}
        self._overdue: dict[Deadline, None] = {}
        self._next_batch: IDelayedCall | None = None
        self._pause_s = 0.0
        self.turned_to = self._tick_of(clock.seconds())
        """The number of the current tick: a clock that costs nothing to read."""

    @property
    def ticks_per_s(self) -> int:
        """How many whole ticks a second has, at least 1."""
        return max(1, round(1 / self._tick_s))

    def _tick_of(self, seconds: float) -> int:
        return int(seconds / self._tick_s)

    def after(self, delay_s: float, expired: Callable[[], None]) -> Deadline:
        """Call ``expired`` once, ``delay_s`` seconds from now, rounded up to a tick, at the wheel's first turn after that."""
        return self.at(self._tick_of(self._clock.seconds() + delay_s) + 1, expired)

    def at(self, tick: int, expired: Callable[[], None]) -> Deadline:
        """Call ``expired`` when the wheel turns to ``tick``, or at its next turn if it has passed that already."""
        tick = max(tick, self.turned_to + 1)
        slot = self._due.get(tick)
        if slot is None:
            slot = self._due[tick] = {}
        return Deadline(slot, expired)

    def ticks(self, delay_s: float) -> int:
        """``delay_s`` seconds as ticks for ``MovingDeadline.move``: rounded up, and one for the tick that has begun."""
        return int(-(-delay_s // self._tick_s)) + 1

    def turn(self) -> None:
        """Call whatever is due, in batches with the event loop's turns between. One callback's error is logged and hurts no other."""
        room = self._expire(BATCH)
        now = self._tick_of(self._clock.seconds())
        if now - self.turned_to > len(self._due):
            # after a leap of the clock (a suspended machine, say) most ticks have nothing due
            passed: Iterable[int] = sorted(tick for tick in self._due if tick <= now)
        else:
            passed = range(self.turned_to + 1, now + 1)
        for tick in passed:
            if not room:
                break
            self.turned_to = tick
            slot = self._due.pop(tick, None)
            if slot:
                self._overdue = slot
                # only the last tick's may take their time
                self._pause_s = self._tick_s / 2 * BATCH / len(slot) if tick == now else 0.0
                room = self._expire(room)
        if room:
            self.turned_to = max(self.turned_to, now)
        elif self._next_batch is None and self.running:
            self._next_batch = self._clock.callLater(self._pause_s, self._go_on)

    def stopService(self) -> Deferred[None]:
        batch, self._next_batch = self._next_batch, None
        if batch is not None:
            batch.cancel()
        return super().stopService()

    def _go_on(self) -> None:
        self._next_batch = None
        self.turn()

    def _expire(self, room: int) -> int:
        """Make at most ``room`` of the callbacks that are overdue; how many more there is room for."""
        slot = self._overdue
        while slot and room:
            room -= 1
            deadline, _ = slot.popitem()
            deadline._detach()
            try:
                deadline.expired()
            except Exception:
                self.log.failure("a deadline's callback failed")
        return room


NEVER = 1 << 62


class MovingDeadline:
    """A deadline that almost every event of a connection puts off: idle time, the next byte, the next request.

    Putting it off costs a comparison and an assignment; the wheel hears of it only when a deadline comes nearer than the one it
    was told (libev's "be smart about timeouts"). Delays are in ticks: see ``DeadlineWheel.ticks``. It expires once, late by up to
    two ticks; early only by as long as the event loop is late.
    """

    __slots__ = ("_deadline", "_due", "_expired", "_filed", "_wheel")

    def __init__(self, wheel: DeadlineWheel, expired: Callable[[], None]) -> None:
        self._wheel = wheel
        self._expired = expired
        self._due = NEVER
        self._filed = NEVER
        self._deadline: Deadline | None = None

    @property
    def active(self) -> bool:
        return self._due != NEVER

    def move(self, ticks: int) -> None:
        """Expire ``ticks`` ticks from now, and not when it was said before."""
        self._due = due = self._wheel.turned_to + ticks
        if due < self._filed:
            self._file(due)

    def stop(self) -> None:
        """Do not expire, until it is moved again. The wheel may still hold it: see ``cancel``."""
        self._due = NEVER

    def cancel(self) -> None:
        """Do not expire, and have the wheel forget it."""
        self._due = self._filed = NEVER
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _file(self, due: int) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._filed = due
        self._deadline = self._wheel.at(due, self._look)

    def _look(self) -> None:
        self._deadline = None
        self._filed = NEVER
        if self._due <= self._wheel.turned_to:
            self._due = NEVER
            self._expired()
        elif self._due != NEVER:
            self._file(self._due)
