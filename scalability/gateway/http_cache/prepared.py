"""Answers ready to be sent, and how many of them there may be. PURE."""

from collections import deque
from math import floor
from typing import Final, Self

from scalability.gateway.http_cache.outside import Outside
from scalability.gateway.http_cache.stored import StoredAnswer

MAX_PREPARED_BYTES: Final = 16 << 10
"""Of a body, that an answer is prepared with. With a larger one the copy of it costs more than all else, prepared or not."""

OVERHEAD_BYTES: Final = 500
"""What a prepared answer costs beside its bytes: its objects, and what a connection remembers with it."""

GONE_S: Final = float("-inf")


class Prepared:
    """A complete answer, good while ``from_s <= now < until_s``: its Age and what is left of its life are whole seconds."""

    __slots__ = ("block", "from_s", "status", "until_s")

    def __init__(self, status: int, block: bytes, from_s: float, until_s: float) -> None:
        self.status = status
        self.block = block
        self.from_s = from_s
        self.until_s = until_s

    @classmethod
    def of(cls, status: int, block: bytes, stored: StoredAnswer, now: float) -> Self:
        """``block`` was made of ``stored`` at ``now``."""
        return cls(status, block, now, min(stored.fresh_until_s, changes_after(stored, now)))


def changes_after(stored: StoredAnswer, now: float) -> float:
    """A time until which neither Age nor the rest of the lifetime, both in whole seconds, is another than at ``now``."""
    age = stored.age_s(now)
    left = stored.lifetime_s - age
    # a rest of exactly n seconds is n; any time later it is n - 1
    return now + max(0.0, min(floor(age) + 1 - age, left - floor(left)) - 1e-6)


class PreparedAnswers:
    """All that are prepared, at most ``max_bytes`` together; they count as ``outside``'s.

    Connections and resources refer to them, and may do so for long: what goes is emptied in its place.
    """

    def __init__(self, outside: Outside, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._outside = outside
        self._lately: deque[Prepared] = deque()

    def __len__(self) -> int:
        return len(self._lately)

    def keep(self, prepared: Prepared, now: float) -> None:
        """One more, which stays for now; the oldest go, and all that hold no more."""
        lately = self._lately
        lately.append(prepared)
        outside = self._outside
        outside.prepared_bytes += len(prepared.block) + OVERHEAD_BYTES
        # each lasts a second at most, so that the first is the first to end, or nearly
        while len(lately) > 1 and (outside.prepared_bytes > self.max_bytes or not lately[0].from_s <= now < lately[0].until_s):
            self._drop(lately.popleft())

    def sweep(self, now: float) -> None:
        """Let those go that hold no more."""
        lately = self._lately
        while lately and not lately[0].from_s <= now < lately[0].until_s:
            self._drop(lately.popleft())

    def _drop(self, prepared: Prepared) -> None:
        self._outside.prepared_bytes -= len(prepared.block) + OVERHEAD_BYTES
        prepared.until_s = GONE_S
        prepared.block = b""
