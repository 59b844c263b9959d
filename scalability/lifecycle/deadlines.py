"""Deadlines of thousands of connections in one coarse wheel, driven by one LoopingCall.

A ``callLater`` per phase of each request costs microseconds and heap space; a wheel slot costs a
dictionary entry. (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987.)
"""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from scalability.lifecycle.ticker import Ticker


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
    """Calls back late by at most one tick, never early. ``tick_s`` is the wheel's resolution.

    Deadlines beyond ``slots * tick_s`` seconds stay in their slot for further rounds.
    """

    def __init__(self, clock: IReactorTime, *, tick_s: float = 0.25) -> None:
        super().__init__(clock, tick_s, self.turn, now=False)
        self._tick_s = tick_s
        self._due: dict[int, dict[Deadline, None]] = {}
        self._turned_to = self._tick_of(clock.seconds())

    def _tick_of(self, seconds: float) -> int:
        return int(seconds / self._tick_s)

    def after(self, delay_s: float, expired: Callable[[], None]) -> Deadline:
        """Call ``expired`` once, ``delay_s`` seconds from now, rounded up to a tick."""
        tick = max(self._tick_of(self._clock.seconds() + delay_s), self._turned_to) + 1
        slot = self._due.get(tick)
        if slot is None:
            slot = self._due[tick] = {}
        return Deadline(slot, expired)

    def turn(self) -> None:
        """Call whatever is due. One callback's error is logged and hurts no other."""
        now = self._tick_of(self._clock.seconds())
        while self._turned_to < now:
            self._turned_to += 1
            slot = self._due.pop(self._turned_to, None)
            while slot:
                deadline, _ = slot.popitem()
                deadline._detach()
                try:
                    deadline.expired()
                except Exception:
                    self.log.failure("a deadline's callback failed")
