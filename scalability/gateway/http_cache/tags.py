"""Which keys have an answer with a tag, for purging by tag. PURE.

Answers go without telling, by expiry and eviction, so that an entry may be of something that is gone. Once there are twice as many
entries as were good the last time they are gone through, in pieces: what is remembered is bounded by what is stored.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Final

SPARE: Final = 1000
"""Entries that are too few to go through."""


class Tags:
    """Keys by tag."""

    def __init__(self) -> None:
        self.entries = 0
        """Pairs of a tag and a key."""
        self._keys: dict[bytes, set[bytes]] = {}
        self._good = 0
        self._pass: Iterator[None] | None = None

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: bytes, tags: Iterable[bytes]) -> None:
        """``key`` has an answer with each of ``tags``."""
        for tag in tags:
            self._add(tag, (key,))

    def take(self, tag: bytes, piece: int, *, again: bool) -> Generator[list[bytes], None, None]:
        """The keys of ``tag``, at most ``piece`` at a time, that are forgotten with it, or with ``again`` remembered.

        What was not asked for when the generator is closed stays remembered.
        """
        keys = self._keys.pop(tag, set())
        self.entries -= len(keys)
        try:
            while keys:
                # one by one: to copy or to free 100,000 keys at once, which no processor cache holds, takes 5 ms
                taken = [keys.pop() for _ in range(min(piece, len(keys)))]
                if again:
                    self._add(tag, taken)
                yield taken
        finally:
            self._add(tag, keys)

    def clear(self) -> None:
        """Forget everything."""
        self.__init__()  # type: ignore[misc]

    def tidy(self, good: Callable[[bytes, bytes], bool], limit: int) -> bool:
        """Once entries are many: look at ``limit`` of them and forget those that are not ``good`` (tag, key); whether there are more."""
        if self._pass is None:
            if self.entries <= 2 * self._good + SPARE:
                return False
            self._pass = self._tidying(good)
        for _ in range(limit):
            if next(self._pass, self) is self:
                self._pass = None
                self._good = self.entries
                return False
        return True

    def _tidying(self, good: Callable[[bytes, bytes], bool]) -> Iterator[None]:
        """One step for each entry."""
        for tag in list(self._keys):
            keys = self._keys.get(tag)
            if keys is None:
                continue
            for key in list(keys):
                if not good(tag, key) and self._keys.get(tag) is keys and key in keys:
                    keys.remove(key)
                    self.entries -= 1
                yield
            if not keys and self._keys.get(tag) is keys:
                del self._keys[tag]

    def _add(self, tag: bytes, keys: Iterable[bytes]) -> None:
        found = self._keys.get(tag)
        if found is None:
            found = set(keys)
            if found:
                self._keys[tag] = found
                self.entries += len(found)
            return
        before = len(found)
        found.update(keys)
        self.entries += len(found) - before
