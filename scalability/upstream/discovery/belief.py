"""Which answers of a name server to believe. PURE.

Resolvers lie for a moment while they restart: a name that has had records must be empty, or not exist, three times in a row before
that is believed. A failure to answer says nothing either way, and counts for nothing.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

ABSENT_LIMIT = 3

T = TypeVar("T")


class Belief(Generic[T]):
    """What a name stands for, as far as is known."""

    __slots__ = ("_absent", "held")

    def __init__(self) -> None:
        self._absent = 0
        self.held: Sequence[T] = ()
        """What was believed last; empty at first."""

    def heard(self, answer: Sequence[T]) -> bool:
        """Take in an answer, which may be empty; False when it is not believed yet."""
        if answer:
            self._absent = 0
        else:
            self._absent += 1
            if self.held and self._absent < ABSENT_LIMIT:
                return False
        self.held = answer
        return True
