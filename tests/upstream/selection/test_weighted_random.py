"""Chance by weight, tested as chance is: with a seed, against what is likely."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalability.testing.candidates import FakeServer
from scalability.upstream.selection.weighted_random import WeightedRandom


def of(*weights: float, seed: int = 5) -> tuple[WeightedRandom[FakeServer], list[FakeServer]]:
    servers = [FakeServer(str(index), int(weight) or 1, weight if 0 < weight < 1 else 1.0) for index, weight in enumerate(weights)]
    selection: WeightedRandom[FakeServer] = WeightedRandom(random.Random(seed).random)
    selection.replace(servers)
    return selection, servers


def chi_square(selection: WeightedRandom[FakeServer], servers: list[FakeServer], draws: int) -> float:
    taken = {server.name: 0 for server in servers}
    for _ in range(draws):
        server = selection.choose()
        assert server is not None
        taken[server.name] += 1
    total = sum(server.weight * server.share for server in servers)
    wanted = {server.name: draws * server.weight * server.share / total for server in servers}
    return sum((taken[name] - wanted[name]) ** 2 / wanted[name] for name in taken)


@given(st.lists(st.sampled_from((0.1, 0.5, 1, 1, 2, 3, 10)), min_size=2, max_size=8), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_each_server_is_as_likely_as_its_weight(weights: list[float], seed: int) -> None:
    selection, servers = of(*weights, seed=seed)
    # 7 degrees of freedom at most: above 35 once in 100,000 runs
    assert chi_square(selection, servers, 2000) < 35


def test_a_random_number_next_to_1_is_the_last_server() -> None:
    for weights in ((1, 1, 1), (1, 2, 3)):
        selection, servers = of(*weights)
        selection._random = lambda: 1 - 2**-53
        assert selection.choose() is servers[-1]
        selection._random = lambda: 0.0
        assert selection.choose() is servers[0]


@pytest.mark.parametrize("weights", [(1, 1), (1, 1, 1, 1), (1, 2, 3), (256, 1)])
def test_a_pair_is_two_different_servers_and_its_first_is_as_likely_as_its_weight(weights: tuple[int, ...]) -> None:
    selection, servers = of(*weights)
    firsts = dict.fromkeys((server.name for server in servers), 0)
    for _ in range(3000):
        pair = selection.pair()
        assert pair is not None
        assert pair[0] is not pair[1]
        firsts[pair[0].name] += 1
    for server in servers:
        part = server.weight / sum(weights)
        assert firsts[server.name] / 3000 == pytest.approx(part, abs=5 * (part * (1 - part) / 3000) ** 0.5)


def test_all_pairs_of_equal_servers_are_equally_likely() -> None:
    selection, _ = of(1, 1, 1)
    taken: dict[tuple[str, str], int] = {}
    for _ in range(6000):
        pair = selection.pair()
        assert pair is not None
        names = (pair[0].name, pair[1].name)
        taken[names] = taken.get(names, 0) + 1
    assert len(taken) == 6
    assert min(taken.values()) > 850


def test_a_pair_of_the_only_one_left_is_that_one_twice() -> None:
    selection, (a, b, c) = of(1, 1, 1)
    assert selection.pair({a, c}) == (b, b)
    assert selection.pair({a, b, c}) is None
    selection.replace([a])
    assert selection.pair() == (a, a)
    selection.replace([])
    assert selection.pair() is None
