"""Work that takes the processor, a little each turn of the loop, however many want some done: all else waits a few milliseconds at most.

idle   nobody waits
busy   in each turn those who wait get their piece done, one after the other, until the turn's time is used up
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

from scalability.lifecycle.threads import Threads

TURN_S: Final = 0.003
"""What one turn may take, in seconds; a piece that has begun is finished, which takes two milliseconds at most."""


class Turns:
    """One for a process. ``seconds`` of ``clock`` tell how long a turn has taken.

    ``threads`` are for work that does not hold the interpreter's lock, and is too much for a turn; without any there is none such.
    """

    def __init__(self, clock: IReactorTime, threads: Threads | None = None) -> None:
        self.threads = threads
        self._clock = clock
        self._waiting: deque[Callable[[], None]] = deque()
        self._called = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def ask(self, work: Callable[[], None]) -> None:
        """Call ``work``, which does one piece and must not fail, soon; whoever has more to do asks again."""
        self._waiting.append(work)
        if not self._called:
            self._called = True
            self._clock.callLater(0, self._turn)

    def _turn(self) -> None:
        waiting, seconds = self._waiting, self._clock.seconds
        until = seconds() + TURN_S
        while waiting:
            waiting.popleft()()
            if seconds() >= until:
                break
        self._called = bool(waiting)
        if waiting:
            self._clock.callLater(0, self._turn)
