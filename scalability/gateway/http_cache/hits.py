"""Answers from memory, ready to be sent: the bytes are made once a second, by the way that every answer is made."""

from math import floor
from typing import Final, Self

from scalability.gateway.http_cache.store import Resource
from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.http1.head import RequestHead

MAX_PREPARED_BYTES: Final = 16 << 10
"""Of a body, that an answer is prepared with: ten thousand connections that each remember another one hold 160 MB then. With a larger body
the copy of it costs more than all else, prepared or not."""

MAX_PREPARED: Final = 2048
"""Resources that have prepared answers at once."""


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


class Known:
    """What a connection remembers of its last hit: while it repeats ``head``, and nothing has changed, the answer is ``prepared``."""

    __slots__ = ("head", "prepared", "resource", "version")

    def __init__(self, head: RequestHead, resource: Resource, prepared: Prepared) -> None:
        self.head = head
        self.resource = resource
        self.version = resource.version
        self.prepared = prepared

    def repeated_by(self, head: RequestHead) -> bool:
        """Whether ``head`` says the same, made anew by a policy that edits it each time: it then has the very same field lines."""
        mine = self.head
        return head.shared is mine.shared and head.target == mine.target and head.method == mine.method and head.host == mine.host
