"""What a cache server tells of changes to what was read from it (RESP3: CLIENT TRACKING). PURE.

While somebody watches, a copy of a value may live as long as the value, because its end will be heard. There is one danger: the news
that a value has changed may come before the value is kept here, between the reply and whatever happens until then, and forgetting
what is not there yet is no use (redis.io, "Client-side caching in Redis", avoiding race conditions). So whoever reads takes the
*moment* before asking, and keeps what was read only if nothing was heard of the key since that moment.

    nobody watches --began--> watching --lost--> nobody watches: no moment from before counts, and all copies are given up
"""

from collections.abc import Callable, Iterable

MAX_REMEMBERED = 10_000
"""Keys whose last change is remembered. A read that more changes than this overtake is not kept, whatever its key."""


class Changes:
    """One for each connection to a cache server. For caches that tell nothing there is one on which nothing ever begins."""

    def __init__(self, *, max_remembered: int = MAX_REMEMBERED) -> None:
        self.heard: Callable[[str | None], None] | None = None
        """Called with each key that has changed; None: every copy is to be given up."""
        self.watching = False
        self.keys = 0
        """Changes heard of, one for each key."""
        self.clears = 0
        """How often every copy had to be given up: the connection was lost, or the server was emptied."""
        self._max_remembered = max_remembered
        self._number = 0
        self._earliest = 0
        self._last: dict[str, int] = {}

    def moment(self) -> int | None:
        """To be taken before a read is sent, in the same breath; None while nobody watches."""
        return self._number if self.watching else None

    def unchanged(self, key: str, moment: int | None) -> bool:
        """Whether what was read of ``key`` after ``moment`` is still so, as far as that will ever be told."""
        if moment is None or not self.watching or moment < self._earliest:
            return False
        return self._last.get(key, 0) <= moment

    def began(self) -> None:
        """From now on whatever is read is watched."""
        self._number += 1
        self._earliest = self._number
        self._last.clear()
        self.watching = True

    def changed(self, keys: Iterable[str]) -> None:
        """The server has told of ``keys``."""
        for key in keys:
            self.keys += 1
            self._number += 1
            self._remember(key)
            if self.heard is not None:
                self.heard(key)

    def changed_here(self, key: str) -> None:
        """This process has changed ``key``, which the server does not tell it: reads under way are not to be kept."""
        self._number += 1
        self._remember(key)

    def all_changed(self) -> None:
        """The server has told that nothing is as it was."""
        self.clears += 1
        self._number += 1
        self._earliest = self._number
        self._last.clear()
        if self.heard is not None:
            self.heard(None)

    def lost(self) -> None:
        """Nobody watches any more."""
        if self.watching:
            self.watching = False
            self.all_changed()

    def _remember(self, key: str) -> None:
        last = self._last
        last.pop(key, None)
        last[key] = self._number
        if len(last) > self._max_remembered:
            self._earliest = last.pop(next(iter(last)))
