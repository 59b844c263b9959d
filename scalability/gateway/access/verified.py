"""Tokens that were checked a moment ago: a signature costs 30 to 100 us, finding that it was good costs one. PURE: the time is an argument.

What is kept of a token is its SHA-256, so that reading this memory gives nobody a token. Only good tokens are kept: whoever sends others
fills nothing.
"""

from hashlib import sha256
from typing import Final, Generic, TypeVar

MAX_VERIFIED: Final = 10_000
"""About 5 MB with usual claims."""

T = TypeVar("T")


class VerifiedTokens(Generic[T]):
    """What was found in at most ``max_entries`` tokens; the one that was kept first makes room. All are forgotten with their keys."""

    __slots__ = ("_found", "_max_entries", "hits")

    def __init__(self, max_entries: int = MAX_VERIFIED) -> None:
        self._max_entries = max_entries
        self._found: dict[bytes, tuple[float, float, T]] = {}
        self.hits = 0

    def __len__(self) -> int:
        return len(self._found)

    def get(self, token: bytes, now: float) -> T | None:
        """What was kept of ``token``, if that is still good at ``now``; of one that is over nothing is kept any longer."""
        digest = sha256(token).digest()
        found = self._found.get(digest)
        if found is None:
            return None
        good_from, good_until, value = found
        if good_from <= now < good_until:
            self.hits += 1
            return value
        if now >= good_until:
            del self._found[digest]
        return None

    def keep(self, token: bytes, good_from: float, good_until: float, value: T) -> None:
        """``token`` was found good, and is from ``good_from`` until ``good_until``."""
        found = self._found
        while len(found) >= self._max_entries:
            del found[next(iter(found))]
        found[sha256(token).digest()] = good_from, good_until, value

    def forget(self) -> None:
        """The keys have changed: what they vouched for is to be checked again."""
        self._found.clear()
