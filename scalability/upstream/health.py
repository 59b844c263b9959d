"""Whether a server may take traffic, from the results of its checks. PURE: a table and a counter.

State       passed check             failed check               traffic
UNCHECKED   UP                       WAITING                    yes
WAITING     UP                       WAITING                    no
UP          UP                       FALLING (fall 1: DOWN)     yes
FALLING     UP                       FALLING, the fall-th: DOWN yes
DOWN        RISING (rise 1: UP)      DOWN                       no
RISING      RISING, the rise-th: UP  DOWN                       while there is no other

A configured server starts as UNCHECKED, so that a balancer that has just started serves at once; like HAProxy's, it
is one failed check away from being out. A server that discovery adds later starts as WAITING, and so does every one where the
first check is mandatory (nginx's word). Either has never been seen up, and one passed check lets it in; a server that went down
after it had been up must pass ``rise`` in a row.
"""

from collections.abc import Mapping
from enum import Enum


class State(Enum):
    """Every state; the table above is ``TRANSITIONS``."""

    UNCHECKED = "unchecked"
    WAITING = "waiting"
    UP = "up"
    FALLING = "falling"
    DOWN = "down"
    RISING = "rising"

    @property
    def usable(self) -> bool:
        """True where the server takes traffic."""
        return self in _USABLE

    @property
    def proven(self) -> bool:
        """True where the server takes traffic and a check has shown that it should."""
        return self is State.UP or self is State.FALLING


_USABLE = frozenset((State.UNCHECKED, State.UP, State.FALLING))

TRANSITIONS: Mapping[tuple[State, bool], tuple[State, State]] = {
    # (state, passed): (state while the run of equal results is shorter than rise or fall, state once it is as long)
    (State.UNCHECKED, True): (State.UP, State.UP),
    (State.UNCHECKED, False): (State.WAITING, State.WAITING),
    (State.WAITING, True): (State.UP, State.UP),
    (State.WAITING, False): (State.WAITING, State.WAITING),
    (State.UP, True): (State.UP, State.UP),
    (State.UP, False): (State.FALLING, State.DOWN),
    (State.FALLING, True): (State.UP, State.UP),
    (State.FALLING, False): (State.FALLING, State.DOWN),
    (State.DOWN, True): (State.RISING, State.UP),
    (State.DOWN, False): (State.DOWN, State.DOWN),
    (State.RISING, True): (State.RISING, State.UP),
    (State.RISING, False): (State.DOWN, State.DOWN),
}


class Health:
    """One server's state. ``rise`` passed checks in a row bring it up again, ``fall`` failed ones take it out."""

    __slots__ = ("_fall", "_rise", "_run", "state")

    def __init__(self, *, rise: int = 2, fall: int = 3, state: State = State.UNCHECKED) -> None:
        if rise < 1 or fall < 1:
            raise ValueError("rise and fall are at least 1")
        self._rise = rise
        self._fall = fall
        self._run = 0
        self.state = state

    def limits(self, *, rise: int, fall: int) -> None:
        """From now on as many are needed."""
        self._rise = rise
        self._fall = fall

    def checked(self, passed: bool) -> State:
        """Take in one result and return the state that follows."""
        before = self.state
        # a run starts anew where the direction changes: UP counts failures, DOWN counts passes
        counts = (before is State.FALLING and not passed) or (before is State.RISING and passed)
        self._run = self._run + 1 if counts else 1
        short, long = TRANSITIONS[before, passed]
        self.state = long if self._run >= (self._rise if passed else self._fall) else short
        return self.state
