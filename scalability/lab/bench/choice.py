"""``tools/bench.py choice``: what it costs to choose a server, by algorithm and number of servers, with requests in flight.

Timed is ``choose``, and ``active_changed`` of the algorithms that must be told. Requests begin and end in between, untimed,
so that an algorithm meets servers that have changed since it looked at them.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from operator import itemgetter
from statistics import median

from scalability.upstream.selection import ALGORITHMS, Building, Selection, Tracking
from scalability.upstream.selection.ewma import Ewma

SERVERS = (2, 1_000, 10_000)
WANTED = 5.0
"""O(1) and O(log n) stay below this, processor caches that fail included; with 5,000 times the servers O(n) is far beyond."""
BATCH = 50
"""Choices that are timed at once: the clock takes as long as one of them."""
IN_FLIGHT = 200
KEYS = [b"/shop/catalogue/page/%d" % number for number in range(10_007)]

Report = Callable[[str], None]


class Candidate:
    """A server that is nothing but numbers."""

    __slots__ = ("active", "label", "latency", "name", "share", "weight")

    def __init__(self, index: int, weight: int) -> None:
        self.name = f"10.0.{index // 256}.{index % 256}:80"
        self.weight = weight
        self.share = 1.0
        self.label = (self.name, weight, 1.0)
        self.active = 0
        self.latency = Ewma()


class Running:
    """An algorithm at work among ``servers``: equal ones, or with weights from 1 to 3."""

    def __init__(self, algorithm: str, servers: int, *, weighted: bool = False) -> None:
        chance = random.Random(servers)
        self._selection: Selection[Candidate] = ALGORITHMS[algorithm](clock=time.monotonic, random=chance.random)
        self._tracking = self._selection if isinstance(self._selection, Tracking) else None
        self._selection.replace([Candidate(index, 1 + index % 3 if weighted else 1) for index in range(servers)])
        if isinstance(self._selection, Building):
            while self._selection.step():
                pass
        self._chance = chance
        self._keys = cycle(KEYS)
        self._flying: deque[Candidate] = deque()

    def seconds(self) -> float:
        """What BATCH choices took, with what had to be told of them and of as many requests that ended."""
        choose = self._selection.choose
        keys = [next(self._keys) for _ in range(BATCH)]
        began = time.perf_counter()
        chosen = [choose((), key) for key in keys]
        took = time.perf_counter() - began
        beginning = [server for server in chosen if server is not None]
        self._flying.extend(beginning)
        ending = [self._flying.popleft() for _ in range(max(0, len(self._flying) - IN_FLIGHT))]
        took += self._change(beginning, 1) + self._change(ending, -1)
        now = time.monotonic()
        for server in ending:
            server.latency.observe(self._chance.uniform(0.005, 0.015), now)
        return took

    def _change(self, servers: list[Candidate], by: int) -> float:
        """Seconds that telling took; 0 where nobody is told."""
        if self._tracking is None:
            for server in servers:
                server.active += by
            return 0.0
        told = self._tracking.active_changed
        began = time.perf_counter()
        for server in servers:
            server.active += by
            told(server, by)
        return time.perf_counter() - began

    def run(self, seconds: float) -> list[float]:
        """Nanoseconds a choice, batch by batch."""
        found: list[float] = []
        end = time.perf_counter() + seconds
        while not found or time.perf_counter() < end:
            found.append(self.seconds() / BATCH * 1e9)
        return found


def choice_ns(algorithm: str, servers: int) -> float:
    """Nanoseconds that choosing among so many equal servers takes: the median of a fifth of a second."""
    return median(Running(algorithm, servers).run(0.2))


def choice(rounds: int, seconds: float, report: Report) -> dict[str, object]:
    """Every algorithm with equal and with unequal weights, among 2, 1,000 and 10,000 servers, in turns."""
    rows = {
        (f"{name}, weights 1 to 3" if weighted else name): [Running(name, servers, weighted=weighted) for servers in SERVERS]
        for name in ALGORITHMS
        for weighted in (False, True)
    }
    taken: dict[str, list[list[float]]] = {name: [[] for _ in SERVERS] for name in rows}
    for _ in range(rounds):
        for name, row in rows.items():
            for found, running in zip(taken[name], row, strict=True):
                found.extend(running.run(seconds / len(rows) / len(SERVERS)))
    figures = {name: [median(found) for found in row] for name, row in taken.items()}
    report(f"{'nanoseconds a choice among':<36}" + "".join(f"{servers:>10,} servers   " for servers in SERVERS))
    for name, (least, *more) in figures.items():
        report(f"{name:<36}{least:>15,.0f}    " + "".join(f"{each:>9,.0f} ({each / least:4.2f})   " for each in more))
    report(verdict(figures))
    return {"benchmark": "choice", "servers": SERVERS, "choice_ns": figures}


def verdict(figures: Mapping[str, Sequence[float]]) -> str:
    """What the nanoseconds of each algorithm, from the fewest servers to the most, mean next to what is wanted."""
    name, most = max(((name, found[-1] / found[0]) for name, found in figures.items()), key=itemgetter(1))
    reached = "reached" if most < WANTED else "not reached"
    times = SERVERS[-1] / SERVERS[0]
    return f"choice: {times:,.0f} times the servers take at most {most:.2f} times as long ({name}; wanted: below {WANTED:g}): {reached}"
