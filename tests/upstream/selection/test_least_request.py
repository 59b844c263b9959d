"""The power of two choices."""

import random
from collections import Counter

import pytest

from scalability.testing.candidates import FakeServer, Requests
from scalability.upstream.selection.least_request import LeastRequest


def of(*servers: FakeServer) -> LeastRequest[FakeServer]:
    selection: LeastRequest[FakeServer] = LeastRequest(random.Random(3).random)
    selection.replace(servers)
    return selection


def test_the_less_busy_of_two_is_chosen() -> None:
    a, b = FakeServer("a", active=3), FakeServer("b", active=2)
    selection = of(a, b)
    assert {selection.choose() for _ in range(50)} == {b}


def test_busy_means_for_its_weight_and_its_share_of_it() -> None:
    a, b = FakeServer("a", weight=4, active=3), FakeServer("b", weight=1, active=1)
    assert {of(a, b).choose() for _ in range(50)} == {a}
    a.share = 0.1
    assert {of(a, b).choose() for _ in range(50)} == {b}


def test_equally_busy_servers_are_chosen_by_weight() -> None:
    selection = of(FakeServer("a", weight=3), FakeServer("b", weight=1))
    taken = Counter(server.name for _ in range(4000) if (server := selection.choose()) is not None)
    assert taken["a"] / 4000 == pytest.approx(0.75, abs=0.035)


def test_the_busiest_of_many_is_never_chosen_and_a_retry_goes_to_the_better_of_the_rest() -> None:
    servers = [FakeServer(str(index), active=index) for index in range(4)]
    selection = of(*servers)
    assert servers[3] not in {selection.choose() for _ in range(500)}
    assert {selection.choose({servers[0], servers[1]}) for _ in range(50)} == {servers[2]}


def test_two_choices_keep_the_busiest_server_near_the_mean() -> None:
    # m balls into n bins: the fullest has m/n + O(log log n), by chance alone it would be m/n + O(sqrt(m log n / n))
    servers = [FakeServer(str(index)) for index in range(100)]
    requests = Requests(of(*servers))
    for _ in range(10_000):
        requests.begin()
    assert max(server.active for server in servers) <= 104
