"""Consistent hashing by a Maglev table, with bounded loads: a key goes to the same server as long as that has room.

**Bounded loads** (Mirrokni, Thorup, Zadimoghaddam 2018; HAProxy's ``hash-balance-factor``): no server is given a request that would be
more than ``BOUND`` times its weight's share of all that are in flight, rounded up. The key moves on to the next server.

**Moving on**, from a server that is full, tried or gone, is by steps through the table that only the key decides: the keys of one server
scatter over all others, and each finds its second choice again. When many places in a row are of no use, all servers are gone through.

**The table is built in pieces**, ``step`` by ``step``. Until a new one is ready the old one serves, without those that are gone; before
the first one, the servers are gone through from where the hash points. A set that changes while a table is being built waits for its
own until that one is ready, so that there is a new one now and then however often the set changes.
"""

from collections.abc import Container, Generator, Iterator, Sequence
from math import ceil, gcd
from typing import Generic

from scalability.upstream.selection.algorithm import Random, S, effective_weight, eligible
from scalability.upstream.selection.maglev_table import SIZE, build, hashed
from scalability.upstream.selection.weighted_random import WeightedRandom

BOUND = 1.5
"""HAProxy's and Envoy's ``150``: their documents call 120 to 200 useful."""

PLACES = 32
"""How many places of the table are looked at. At most two thirds of the weight can be full, so that one in half a million
requests finds none of them of use for that reason."""

_Plan = list[tuple[S, str, float]]


class Maglev(Generic[S]):
    """O(1), and as much again for each place that is of no use. A request without a key goes to a random server, by weight."""

    def __init__(self, random: Random, *, size: int = SIZE, bound: float = BOUND) -> None:
        self._random: WeightedRandom[S] = WeightedRandom(random)
        self._size = size
        self._bound = bound
        self._weights: dict[S, float] = {}
        """The servers by name, and what they weigh now."""
        self._servers: list[S] = []
        self._weight = 0.0
        self._active = 0
        self._table: list[S] = []
        self._built: _Plan[S] = []
        """What ``_table`` was built for."""
        self._building: Generator[None, None, list[S]] | None = None
        self._coming: _Plan[S] = []
        """What the next table is being built for."""
        self._wanted: _Plan[S] = []
        """What there should be a table for."""
        self._behind = False
        """Whether that is not ``_built``."""

    def replace(self, servers: Sequence[S]) -> None:
        """See Selection. Has a new table built, if the servers or their weights differ.

        There the share of a weight counts in tenths: a slow start moves keys ten times, and costs ten tables.
        """
        self._servers = sorted(eligible(servers), key=lambda server: server.name)
        self._weights = {server: effective_weight(server) for server in self._servers}
        self._weight = sum(self._weights.values())
        self._active = sum(server.active for server in self._servers)
        self._wanted = [(server, server.name, server.weight * ceil(server.share * 10) / 10) for server in self._servers]
        self._behind = self._wanted != self._built
        self._random.replace(servers)

    def step(self) -> bool:
        """See Building."""
        if not self._behind:
            self._building = None
            return False
        if self._building is None:
            self._coming = self._wanted
            self._building = build(self._coming, self._size)
        try:
            next(self._building)
        except StopIteration as ended:
            self._table = ended.value
            self._built = self._coming
            self._building = None
            self._behind = self._wanted != self._built
        return self._behind

    def active_changed(self, server: S, change: int) -> None:
        """See Tracking."""
        if server in self._weights:
            self._active += change

    def choose(self, tried: Container[S] = (), key: bytes | None = None) -> S | None:
        """See Selection. When all that are not in ``tried`` are full, the first of them on the key's way."""
        if key is None:
            return self._random.choose(tried)
        digest = hashed(key)
        table = self._table
        weights = self._weights
        total = self._weight
        allowed = self._bound * (self._active + 1)
        if table:
            server = table[digest % len(table)]
            weight = weights.get(server)
            # not full: with one more it is not above the bound, rounded up
            if weight is not None and server.active * total < allowed * weight and server not in tried:
                return server
        spare: S | None = None
        for server in self._on_the_way(digest):
            weight = weights.get(server)
            if weight is not None and server not in tried:
                if server.active * total < allowed * weight:
                    return server
                if spare is None:
                    spare = server
        return spare

    def _on_the_way(self, digest: int) -> Iterator[S]:
        """Where a request goes that cannot stay where its key belongs: some places of the table, then every server."""
        table = self._table
        size = len(table)
        place = digest
        step = 1 + digest // size % (size - 1) if size > 1 else 0
        for _ in range(min(PLACES, size)):
            place = (place + step) % size
            yield table[place]
        servers = self._servers
        count = len(servers)
        if not count:
            return
        index = digest % count
        step = 1 + digest // count % count
        while gcd(step, count) > 1:
            step += 1
        for _ in range(count):
            yield servers[index]
            index = (index + step) % count
