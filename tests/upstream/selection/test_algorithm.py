"""What every algorithm keeps to, alone and with levels."""

import random
from collections import Counter
from collections.abc import Callable, Container

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalability.testing.candidates import FakeServer, Requests, built
from scalability.upstream.selection import ALGORITHMS, Building, Learning, Selection
from scalability.upstream.selection.algorithm import effective_weight, eligible
from scalability.upstream.selection.levels import Levels
from scalability.upstream.selection.maglev import Maglev

KEYS = [b"/path/%d" % number for number in range(20_000)]

Make = Callable[[int], Selection[FakeServer]]


def maker(name: str, *, levels: bool = False) -> Make:
    def make(seed: int) -> Selection[FakeServer]:
        chance = random.Random(seed)

        def plain() -> Selection[FakeServer]:
            if name == "maglev":
                # a table of the true size takes longer to build than all else here
                return Maglev(chance.random, size=4099)
            return ALGORITHMS[name](clock=lambda: 0.0, random=chance.random)

        return Levels(plain, lambda server: 0) if levels else plain()

    return make


MAKERS = {f"{name}-with-levels" if levels else name: maker(name, levels=levels) for name in ALGORITHMS for levels in (False, True)}

every = pytest.mark.parametrize("make", [pytest.param(MAKERS[name], id=name) for name in ALGORITHMS])


class Holding:
    """A container with ``in`` and nothing else, as the balancer's of tried and full servers."""

    def __init__(self, *servers: FakeServer) -> None:
        self._servers = servers

    def __contains__(self, server: object) -> bool:
        return server in self._servers


def of(*weights: float) -> list[FakeServer]:
    return [FakeServer(f"10.0.0.{index}:80", int(weight) or 1, weight if 0 < weight < 1 else 1.0) for index, weight in enumerate(weights)]


def key_of(number: int) -> bytes | None:
    return KEYS[number % len(KEYS)]


def shares(selection: Selection[FakeServer], count: int) -> dict[str, float]:
    """The part of ``count`` requests that each server got, one after the other, each with a key of its own."""
    requests = Requests(selection)
    taken: Counter[str] = Counter()
    for number in range(count):
        server = requests.begin(key=key_of(number))
        assert server is not None
        taken[server.name] += 1
        requests.end(server)
    return {name: got / count for name, got in taken.items()}


def busy_shares(selection: Selection[FakeServer], count: int, in_flight: int, tried: Container[FakeServer] = ()) -> dict[str, float]:
    """As ``shares``, with so many requests in flight, of which any may end next."""
    requests = Requests(selection)
    chance = random.Random(7)
    flying: list[FakeServer] = []
    taken: Counter[str] = Counter()
    for number in range(count):
        server = requests.begin(tried, key_of(number))
        assert server is not None
        taken[server.name] += 1
        flying.append(server)
        if len(flying) > in_flight:
            at = chance.randrange(len(flying))
            flying[at], flying[-1] = flying[-1], flying[at]
            ended = flying.pop()
            ended.latency.observe(0.01, 0.0)
            requests.end(ended)
    return {name: got / count for name, got in taken.items()}


def assert_shares(found: dict[str, float], servers: list[FakeServer], count: int, slack: float) -> None:
    """Within ``slack`` and five standard deviations of what chance alone would do."""
    total = sum(effective_weight(server) for server in servers)
    for server in servers:
        wanted = effective_weight(server) / total
        assert found.get(server.name, 0.0) == pytest.approx(wanted, rel=slack, abs=5 * (wanted * (1 - wanted) / count) ** 0.5)


@every
def test_there_is_none_to_choose_among_none(make: Make) -> None:
    selection = make(1)
    assert selection.choose() is None
    assert built(selection, []).choose((), b"key") is None
    assert built(selection, [FakeServer("a", 0)]).choose((), b"key") is None


@every
def test_the_only_server_is_chosen(make: Make) -> None:
    (server,) = servers = of(3)
    selection = built(make(1), servers)
    assert [selection.choose(), selection.choose((), b"key")] == [server, server]
    assert selection.choose({server}) is None
    assert selection.choose({server}, b"key") is None


@given(name=st.sampled_from(list(MAKERS)), data=st.data())
@settings(max_examples=200, deadline=None)
def test_none_of_the_tried_is_chosen_and_none_at_all_only_when_all_were_tried(name: str, data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.sampled_from((0, 1, 1, 1, 2, 7, 256)), min_size=1, max_size=8))
    servers = [FakeServer(f"s{index}", weight) for index, weight in enumerate(weights)]
    chance = random.Random(data.draw(st.integers(0, 1000)))
    requests = Requests(built(MAKERS[name](chance.randrange(1000)), servers))
    for number in range(10):
        tried = data.draw(st.sets(st.sampled_from(servers)))
        container = chance.choice((tried, tuple(tried), Holding(*tried)))
        server = requests.begin(container, key_of(number) if number % 2 else None)
        left = [each for each in eligible(servers) if each not in tried]
        assert server in left if left else server is None
        for each in servers:
            while each.active and chance.random() < 0.5:
                requests.end(each)


@every
def test_when_nearly_all_were_tried_none_of_the_rest_is_forgotten(make: Make) -> None:
    servers = of(*[5] * 50, 1, 2)
    found = busy_shares(built(make(3), servers), 2000, in_flight=60, tried=set(servers[:50]))
    assert len(found) == 2
    assert found[servers[51].name] > 0.4
    assert found[servers[50].name] > 0.2


@given(st.sampled_from(list(MAKERS)), st.lists(st.sets(st.integers(0, 9)), min_size=1, max_size=8), st.booleans(), st.integers(0, 9))
@settings(max_examples=200, deadline=None)
def test_only_servers_of_the_present_set_are_chosen_whether_built_or_not(
    name: str, sets: list[set[int]], weighted: bool, pieces: int
) -> None:
    servers = [FakeServer(str(index), 1 + index % 3 if weighted else 1) for index in range(10)]
    selection = MAKERS[name](5)
    requests = Requests(selection)
    for number, present in enumerate(sets):
        selection.replace([servers[index] for index in sorted(present)])
        if isinstance(selection, Building):
            for _ in range(pieces):
                selection.step()
        for _ in range(30):
            server = requests.begin(key=key_of(number))
            assert (server is None) == (not present)
            if server is not None:
                assert int(server.name) in present
                requests.end(server)


@every
def test_idle_equal_servers_get_equal_shares(make: Make) -> None:
    servers = of(1, 1, 1, 1, 1)
    assert_shares(shares(built(make(11), servers), 8000), servers, 8000, 0.01)


@every
@pytest.mark.parametrize("weights", [(1, 1, 1, 1), (1, 2, 3), (0.1, 1, 1), (0.5, 3, 5)])
def test_busy_servers_get_shares_by_weight_and_slow_start(make: Make, weights: tuple[float, ...]) -> None:
    servers = of(*weights)
    selection = built(make(13), servers)
    found = busy_shares(selection, 8000, in_flight=300)
    assert_shares(found, servers, 8000, 0.12)


@every
@pytest.mark.parametrize("weights", [(1, 1, 1, 1), (1, 2, 3, 4)])
def test_replacing_the_same_set_at_every_request_favours_nobody(make: Make, weights: tuple[int, ...]) -> None:
    servers = of(*weights)
    selection = built(make(17), servers)
    requests = Requests(selection)
    taken: Counter[str] = Counter()
    flying: list[FakeServer] = []
    for number in range(3000):
        selection.replace(servers)
        server = requests.begin(key=key_of(number))
        assert server is not None
        taken[server.name] += 1
        flying.append(server)
        if len(flying) > 100:
            ended = flying.pop(number * 7919 % len(flying))
            ended.latency.observe(0.01, 0.0)
            requests.end(ended)
    assert_shares({name: got / 3000 for name, got in taken.items()}, servers, 3000, 0.15)


@every
def test_a_server_that_joins_and_leaves_again_and_again_takes_little_from_the_others(make: Make) -> None:
    servers = of(1, 1, 1, 1)
    selection = built(make(19), servers)
    requests = Requests(selection)
    taken: Counter[str] = Counter()
    for number in range(4000):
        selection.replace(servers if number % 2 else servers[:3])
        server = requests.begin(key=key_of(number))
        assert server is not None
        server.latency.observe(0.01, 0.0)
        taken[server.name] += 1
        requests.end(server)
    settled = [taken[server.name] for server in servers[:3]]
    assert min(settled) > 0.8 * max(settled)
    assert taken[servers[3].name] <= 1.1 * max(settled)


@every
def test_the_same_seed_makes_the_same_choices(make: Make) -> None:
    def names() -> list[str]:
        selection = built(make(23), of(1, 2, 3))
        return [server.name for number in range(200) if (server := selection.choose((), key_of(number))) is not None]

    assert names() == names()


def test_every_algorithm_is_found_by_its_name() -> None:
    assert list(ALGORITHMS) == ["round_robin", "random", "least_request", "least_connections", "peak_ewma", "maglev"]


def test_latencies_are_observed_for_the_one_algorithm_that_reads_them() -> None:
    assert [name for name in ALGORITHMS if isinstance(MAKERS[name](1), Learning)] == ["peak_ewma"]
