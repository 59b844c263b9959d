"""Requests that wait for a place at a server: first come, first served, so many and no more, and no longer than a timeout. PURE.

Everybody in a line has the same time to wait, so whoever came first also gives up first: no heap is needed, and each step costs O(1).
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class WaitingLine(Generic[T]):
    """One line. A request stands in it at most once. Times are seconds of any clock that never goes back."""

    __slots__ = ("_since", "entered", "expirations", "greatest", "limit", "refused", "timeout_s", "withdrawn")

    def __init__(self, limit: int, timeout_s: float) -> None:
        if limit < 0 or timeout_s <= 0:
            raise ValueError("a line has room for 0 or more, and a timeout above 0")
        # not a dict: its first key is searched for from the start, past all that were deleted
        self._since: OrderedDict[T, float] = OrderedDict()
        self.limit = limit
        """0: nobody may wait. May be changed, as may ``timeout_s``: those that wait stay, and have the new time from when they came."""
        self.timeout_s = timeout_s
        self.entered = 0
        """How often a request was let in, ever; those below are part of it, but for the refused."""
        self.refused = 0
        self.withdrawn = 0
        """Left on their own."""
        self.expirations = 0
        self.greatest = 0
        """The greatest length there ever was."""

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, request: object) -> bool:
        return request in self._since

    def add(self, request: T, now: float) -> bool:
        """Let ``request`` wait. False when the line is full. Raises ValueError when it waits already."""
        since = self._since
        if request in since:
            raise ValueError("that request waits already")
        length = len(since) + 1
        if length > self.limit:
            self.refused += 1
            return False
        since[request] = now
        self.entered += 1
        if length > self.greatest:
            self.greatest = length
        return True

    @property
    def first(self) -> T | None:
        """The one that has waited longest. None when nobody waits."""
        for request in self._since:
            return request
        return None

    def next(self) -> T | None:
        """Take out the one that has waited longest. None when nobody waits."""
        return self._since.popitem(last=False)[0] if self._since else None

    def leave(self, request: T) -> bool:
        """``request`` waits no more, its client has gone. False when it did not wait."""
        if self._since.pop(request, None) is None:
            return False
        self.withdrawn += 1
        return True

    def expires_s(self) -> float | None:
        """When the first one's time is over. None when nobody waits."""
        for since in self._since.values():
            return since + self.timeout_s
        return None

    def expired(self, now: float) -> list[T]:
        """Take out those whose time is over, in order."""
        since = self._since
        over: list[T] = []
        while (expires_s := self.expires_s()) is not None and expires_s <= now:
            over.append(since.popitem(last=False)[0])
        self.expirations += len(over)
        return over
