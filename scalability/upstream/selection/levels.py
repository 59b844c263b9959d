"""Priorities: servers of a lower level are chosen only when none of a higher one can be.

HAProxy's ``backup``, nginx's ``backup``, Envoy's priorities without overprovisioning. A level is a number, 0 the highest; each has a
selection of its own, so that any algorithm may be used.
"""

from collections.abc import Callable, Container, Sequence
from typing import Generic

from scalability.upstream.selection.algorithm import Building, Drawn, S, Selection, Tracking


class Levels(Generic[S]):
    """``make`` makes the selection of a level; ``level_of`` says to which one a server belongs."""

    def __init__(self, make: Callable[[], Selection[S]], level_of: Callable[[S], int]) -> None:
        self._make = make
        self._level_of = level_of
        self._levels: dict[int, Selection[S]] = {}
        self._tracking: list[Tracking[S]] = []
        self._building: list[Building] = []
        self._chose: Selection[S] | None = None

    @property
    def drawn(self) -> Drawn | None:
        """What the algorithm of the level that chose last had before it, where it draws two."""
        return getattr(self._chose, "drawn", None)

    def replace(self, servers: Sequence[S]) -> None:
        """See Selection. A level without servers is forgotten."""
        members: dict[int, list[S]] = {}
        for server in servers:
            members.setdefault(self._level_of(server), []).append(server)
        self._levels = {level: self._levels.get(level) or self._make() for level in sorted(members)}
        for level, selection in self._levels.items():
            selection.replace(members[level])
        self._tracking = [selection for selection in self._levels.values() if isinstance(selection, Tracking)]
        self._building = [selection for selection in self._levels.values() if isinstance(selection, Building)]

    def choose(self, tried: Container[S] = (), key: bytes | None = None) -> S | None:
        """See Selection. The next level is asked when all of this one are in ``tried`` or without weight."""
        for selection in self._levels.values():
            server = selection.choose(tried, key)
            if server is not None:
                self._chose = selection
                return server
        self._chose = None
        return None

    def active_changed(self, server: S, change: int) -> None:
        """See Tracking."""
        for selection in self._tracking:
            selection.active_changed(server, change)

    def step(self) -> bool:
        """See Building."""
        return any(selection.step() for selection in self._building)
