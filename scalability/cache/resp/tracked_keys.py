"""Which clients have read which keys, bounded. PURE.

Keys are spread over shards, by their hash, so that no single step is long: a dict of all of them would take 25 ms to grow, and 30 ms
to be freed, which is done bit by bit here.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator

SHARDS = 64

Shard = OrderedDict[bytes, int | set[int]]
"""The ids of the clients that have read a key: mostly there is one, and a set costs 216 bytes. Keys read first stand first."""


class TrackedKeys:
    """At most ``max_keys`` keys of ``max_key_bytes`` together, and ``max_pairs`` pairs of key and client.

    ``later`` calls a function in the reactor's next turn.
    """

    def __init__(self, later: Callable[[Callable[[], None]], object], *, max_keys: int, max_key_bytes: int, max_pairs: int) -> None:
        self._later = later
        self._max_keys = max_keys
        self._max_key_bytes = max_key_bytes
        self._max_pairs = max_pairs
        self._shards: list[Shard] = []
        self._leavings: list[Shard] = []
        """What was cleared and is not freed yet."""
        self._turn = 0
        """The shard that gave up a key last."""
        self.keys = 0
        self.key_bytes = 0
        self.pairs = 0
        self._begin()

    def add(self, key: bytes, client: int) -> None:
        """``client`` has read ``key``. The bounds may be passed then: ``excess`` must be used up."""
        shard = self._shards[hash(key) % SHARDS]
        readers = shard.get(key)
        if readers is None:
            shard[key] = client
            self.keys += 1
            self.key_bytes += len(key)
        elif isinstance(readers, set):
            if client in readers:
                return
            readers.add(client)
        elif readers == client:
            return
        else:
            shard[key] = {readers, client}
        self.pairs += 1

    def excess(self) -> Iterator[bytes]:
        """While more is held than may be: keys to ``pop``, from one shard after the other those that were read first."""
        while self.keys > self._max_keys or self.key_bytes > self._max_key_bytes or self.pairs > self._max_pairs:
            self._turn = (self._turn + 1) % SHARDS
            if shard := self._shards[self._turn]:
                yield next(iter(shard))

    def pop(self, key: bytes) -> set[int] | tuple[int] | None:
        """Forget ``key``; the ids of its clients, None when nobody has read it."""
        readers = self._shards[hash(key) % SHARDS].pop(key, None)
        if readers is None:
            return None
        clients = readers if isinstance(readers, set) else (readers,)
        self.keys -= 1
        self.key_bytes -= len(key)
        self.pairs -= len(clients)
        return clients

    def clear(self) -> None:
        """Forget all."""
        if self.keys:
            if not self._leavings:
                self._later(self._free)
            self._leavings += self._shards
            self._begin()

    def _begin(self) -> None:
        self._shards = [OrderedDict() for _ in range(SHARDS)]
        self.keys = self.key_bytes = self.pairs = 0

    def _free(self) -> None:
        """A shard at a time."""
        self._leavings.pop()
        if self._leavings:
            self._later(self._free)
