"""What an algorithm is told of a server, and what it does."""

from collections.abc import Callable, Container, Sequence
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from scalability.upstream.selection.ewma import Ewma


class Candidate(Protocol):
    """What a selection reads of a server. Plain attributes: they are read at every choice."""

    weight: int
    """Its part of the traffic, 0 to 256; 0: none but what is bound to it."""
    share: float
    """How much of its weight counts, above 0 and up to 1: below 1 during slow start."""
    active: int
    """Requests in flight."""

    @property
    def name(self) -> str:
        """What it is hashed by: the same in every process, and unlike every other's."""

    @property
    def label(self) -> "Label":
        """Its name, weight and share, as one tuple that outlives it."""

    @property
    def latency(self) -> Ewma:
        """How long it takes to answer, for ``peak_ewma``."""


S = TypeVar("S", bound=Candidate)
S_contra = TypeVar("S_contra", bound=Candidate, contravariant=True)

Label = tuple[str, int, float]

Clock = Callable[[], float]
"""Seconds since whenever."""
Random = Callable[[], float]
"""A number in [0, 1), as ``random.random``."""


class Selection(Protocol[S]):
    """One algorithm with its state."""

    def replace(self, servers: Sequence[S]) -> None:
        """From now on choose among ``servers``, by their present weights and shares; what is known of those that stay is kept.

        Called when the set, a weight or a share has changed. Costs O(n) or O(n log n).
        """

    def choose(self, tried: Container[S] = (), key: bytes | None = None) -> S | None:
        """The next server that is not in ``tried``; None only when all are that have a weight. The caller sends one request there.

        ``tried`` may be anything with ``in``. ``key`` is what the request is hashed by; all but ``maglev`` ignore it.
        """


@runtime_checkable
class Tracking(Protocol[S_contra]):
    """A selection that must be told of every change of ``active``, because no choice could look at all servers."""

    def active_changed(self, server: S_contra, change: int) -> None:
        """``server.active`` has just grown (1) or fallen (-1). One that is not chosen among is ignored."""


@runtime_checkable
class Building(Protocol):
    """A selection that works off in pieces what ``replace`` began, and chooses by what it had before until all is done."""

    def step(self) -> bool:
        """Do the next piece, about a millisecond at most. True while more is left."""


@runtime_checkable
class Learning(Protocol):
    """A selection that chooses by latencies: how long each answer took is to be observed."""

    learns: Literal[True]


class Algorithm(Protocol):
    """What makes a selection. An algorithm without a use for the time or for chance leaves them alone."""

    def __call__(self, *, clock: Clock, random: Random) -> Selection[Any]: ...


Drawn = tuple[Any, ...]
"""What a power of two choices had before it: the labels of two candidates, the requests in flight of each, and what else its algorithm
compared. One is made at each choice, as the attribute ``drawn``, and put into words only for who asks."""


def effective_weight(server: Candidate) -> float:
    """The weight that counts now."""
    return server.weight * server.share


def eligible(servers: Sequence[S]) -> list[S]:
    """Those that may be chosen: a weight of 0 means no requests."""
    return [server for server in servers if server.weight > 0]
