"""One of four servers is ten times slower: what clients feel, by algorithm. A discrete-event simulation, seeded."""

import random
from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush

import pytest

from scalability.testing.candidates import FakeServer, Requests, built
from scalability.upstream.selection import ALGORITHMS

FAST_S = 0.010
SLOW_S = 0.100

Chance = random.Random
Service = Callable[[Chance, float], float]
"""Seconds that a request takes whose server takes so many on average."""


def steady(chance: Chance, mean_s: float) -> float:
    return mean_s * chance.uniform(0.8, 1.2)


def exponential(chance: Chance, mean_s: float) -> float:
    return chance.expovariate(1 / mean_s)


def simulated(algorithm: str, service: Service, *, count: int = 12_000, per_s: float = 400.0) -> tuple[list[float], Counter[str]]:
    """The latencies of ``count`` requests that arrive at random, ``per_s`` of them, and how many each server got."""
    now = 0.0
    chance = random.Random(1)
    servers = [FakeServer(f"10.0.0.{index}:80") for index in range(4)]
    mean_s = dict(zip(servers, (SLOW_S, FAST_S, FAST_S, FAST_S), strict=True))
    selection = built(ALGORITHMS[algorithm](clock=lambda: now, random=random.Random(2).random), servers)
    requests = Requests(selection)
    latencies: list[float] = []
    taken: Counter[str] = Counter()
    ends: list[tuple[float, int, FakeServer, float]] = []
    arrival = 0.0
    for number in range(count):
        arrival += chance.expovariate(per_s)
        while ends and ends[0][0] <= arrival:
            now, _, server, seconds = heappop(ends)
            server.latency.observe(seconds, now)
            requests.end(server)
        now = arrival
        chosen = requests.begin(key=b"/%d" % number)
        assert chosen is not None
        seconds = service(chance, mean_s[chosen])
        taken[chosen.name] += 1
        latencies.append(seconds)
        heappush(ends, (now + seconds, number, chosen, seconds))
    return latencies, taken


def percentile(values: list[float], percent: float) -> float:
    return sorted(values)[int(len(values) * percent / 100)]


@pytest.mark.parametrize("service", [steady, exponential])
def test_the_tail_of_peak_ewma_is_at_most_a_quarter_of_round_robins(service: Service) -> None:
    plain, _ = simulated("round_robin", service)
    peak, taken = simulated("peak_ewma", service)
    assert percentile(peak, 99) <= percentile(plain, 99) / 4
    # and the slow one is still looked at
    assert 0 < taken["10.0.0.0:80"] < 120
