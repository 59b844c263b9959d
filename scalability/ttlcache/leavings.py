"""What a cleared cache leaves to be freed: bit by bit, as a million entries at once hold the reactor for a second. PURE."""

from collections import deque
from collections.abc import Iterable
from typing import Any


class Leavings:
    """Containers that nobody looks into any more. They must hold nothing that is in use."""

    __slots__ = ("_queues", "_shards")

    def __init__(self) -> None:
        self._queues: list[deque[Any]] = []
        self._shards: list[dict[Any, Any]] = []

    def add(self, shards: Iterable[dict[Any, Any]], queues: Iterable[deque[Any]]) -> None:
        """Take over what a clear left. The queues are emptied, so that their owner can use them again."""
        self._queues += filter(None, queues)
        self._shards += filter(None, shards)

    def __bool__(self) -> bool:
        """Whether anything is left."""
        return bool(self._queues or self._shards)

    def free(self, steps: int) -> int:
        """Let go of so many entries at most; how many steps it took. Fewer: nothing is left.

        The shards first: so the entries end with the queues, in the order in which they were made and lie in memory.
        """
        done = 0
        while self._shards and done < steps:
            shard = self._shards[-1]
            for _ in range(min(steps - done, len(shard))):
                shard.popitem()
                done += 1
            if not shard:
                self._shards.pop()
        while self._queues and done < steps:
            queue = self._queues[-1]
            for _ in range(min(steps - done, len(queue))):
                queue.popleft()
                done += 1
            if not queue:
                self._queues.pop()
        return done
