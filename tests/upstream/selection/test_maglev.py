"""Keys stay where they were, and nobody is flooded."""

import random
from collections import Counter
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalability.testing.candidates import FakeServer, Requests, built
from scalability.upstream.selection.maglev import Maglev

SIZE = 4099
KEYS = [b"/item/%d" % number for number in range(3000)]


def maglev(size: int = SIZE) -> Maglev[FakeServer]:
    return Maglev(random.Random(9).random, size=size)


def of(*servers: FakeServer, size: int = SIZE) -> Maglev[FakeServer]:
    selection = maglev(size)
    built(selection, servers)
    return selection


def equal(count: int) -> list[FakeServer]:
    return [FakeServer(f"10.0.0.{index}:80") for index in range(count)]


def where(selection: Maglev[FakeServer], *tried: FakeServer) -> dict[bytes, FakeServer | None]:
    return {key: selection.choose(tried, key) for key in KEYS}


def moved(before: dict[bytes, FakeServer | None], after: dict[bytes, FakeServer | None], but: FakeServer) -> float:
    """The part of the keys that went from one server to another, neither of them ``but``."""
    return sum(before[key] is not after[key] and but not in (before[key], after[key]) for key in KEYS) / len(KEYS)


def test_a_key_is_served_by_the_same_server_in_every_process_and_order() -> None:
    servers = equal(10)
    assert where(of(*servers)) == where(of(*reversed(servers)))


def test_keys_are_spread_by_weight() -> None:
    servers = [FakeServer("a:1", 1), FakeServer("b:1", 2), FakeServer("c:1", 5)]
    taken = Counter(server.weight for server in where(of(*servers)).values() if server is not None)
    for weight in (1, 2, 5):
        part = weight / 8
        assert taken[weight] / len(KEYS) == pytest.approx(part, abs=5 * (part * (1 - part) / len(KEYS)) ** 0.5)


def test_a_request_without_a_key_goes_anywhere_by_weight() -> None:
    selection = of(FakeServer("a:1", 3), FakeServer("b:1", 1))
    taken = Counter(server.name for _ in range(4000) if (server := selection.choose()) is not None)
    assert taken["a:1"] / 4000 == pytest.approx(0.75, abs=0.035)


def test_the_keys_of_a_server_that_goes_scatter_and_the_others_stay() -> None:
    servers = equal(10)
    selection = of(*servers)
    before = where(selection)
    selection.replace(servers[1:])
    at_once = where(selection)
    assert moved(before, at_once, servers[0]) == 0
    taken = Counter(at_once[key] for key in KEYS if before[key] is servers[0])
    assert len(taken) == 9
    assert max(taken.values()) < 3 * sum(taken.values()) / 9
    built(selection, servers[1:])
    assert moved(before, where(selection), servers[0]) < 0.08
    built(selection, servers)
    assert where(selection) == before


def test_a_server_that_comes_takes_its_share_of_keys_when_the_table_is_built() -> None:
    servers = equal(10)
    selection = of(*servers[:9])
    before = where(selection)
    selection.replace(servers)
    assert where(selection) == before
    built(selection, servers)
    after = where(selection)
    assert sum(server is servers[9] for server in after.values()) / len(KEYS) == pytest.approx(0.1, abs=0.03)
    assert moved(before, after, servers[9]) < 0.08


def test_before_the_first_table_keys_have_a_place_too() -> None:
    servers = equal(10)
    selection = maglev()
    selection.replace(servers)
    before = where(selection)
    assert before == where(selection)
    assert min(Counter(before.values()).values()) > 200


def test_a_second_choice_is_the_same_every_time_and_scattered() -> None:
    servers = equal(10)
    selection = of(*servers)
    first, second = where(selection), where(selection, servers[0])
    assert all(second[key] is first[key] for key in KEYS if first[key] is not servers[0])
    assert second == where(selection, servers[0])
    taken = Counter(second[key] for key in KEYS if first[key] is servers[0])
    assert len(taken) == 9
    assert servers[0] not in taken


def test_a_set_that_changes_while_a_table_is_built_gets_its_own_next() -> None:
    servers = equal(6)
    selection = maglev()
    selection.replace(servers[:2])
    assert selection.step()
    selection.replace(servers)
    while selection.step():
        pass
    assert where(selection) == where(of(*servers))
    assert not selection.step()


def test_sets_that_change_all_the_time_get_a_table_now_and_then() -> None:
    servers = equal(6)
    selection = of(*servers[:2])
    before = where(selection)
    for count in range(200):
        selection.replace(servers[: 3 + count % 3])
        selection.step()
    assert where(selection) != before


def test_a_set_that_changes_back_needs_no_table() -> None:
    servers = equal(6)
    selection = of(*servers)
    selection.replace(servers[:3])
    assert selection.step()
    selection.replace(servers)
    assert not selection.step()
    assert where(selection) == where(of(*servers))


def test_slow_start_moves_keys_in_tenths() -> None:
    servers = equal(4)
    selection = of(*servers)
    tables = 0
    parts = []
    for percent in range(1, 101):
        servers[0].share = percent / 100
        selection.replace(servers)
        tables += selection.step()
        built(selection, servers)
        parts.append(sum(server is servers[0] for server in where(selection).values()) if percent % 25 == 0 else 0)
    assert tables <= 11
    assert parts[24] < parts[49] < parts[74] < parts[99]


@given(st.lists(st.integers(1, 9), min_size=2, max_size=8), st.integers(0, 10_000), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_no_server_is_given_more_than_its_bound(weights: list[int], seed: int, keys: int) -> None:
    servers = [FakeServer(f"s{index}:80", weight) for index, weight in enumerate(weights)]
    requests = Requests(of(*servers, size=251))
    chance = random.Random(seed)
    flying: list[FakeServer] = []
    for _ in range(150):
        # few keys: without a bound one server would get nearly all
        server = requests.begin(key=KEYS[chance.randrange(keys)])
        assert server is not None
        flying.append(server)
        total = sum(each.active for each in servers)
        assert server.active <= ceil(Fraction(3, 2) * total * server.weight / sum(weights))
        while flying and chance.random() < 0.45:
            requests.end(flying.pop(chance.randrange(len(flying))))


def test_a_hot_key_spills_over_and_comes_home() -> None:
    servers = equal(4)
    requests = Requests(of(*servers))
    home = requests.begin(key=b"hot")
    assert home is not None
    served = Counter(requests.begin(key=b"hot") for _ in range(99))
    assert served[home] + 1 <= ceil(1.5 * 100 / 4)
    assert len(served) >= 3
    for server in servers:
        while server.active:
            requests.end(server)
    assert requests.begin(key=b"hot") is home


def test_when_all_that_were_not_tried_are_full_one_of_them_serves() -> None:
    servers = equal(3)
    requests = Requests(of(*servers))
    for _ in range(30):
        requests.change(servers[0], 1)
    assert requests.begin(servers[1:], b"x") is servers[0]


def test_changes_of_servers_that_are_not_chosen_among_do_not_count() -> None:
    servers = equal(2)
    selection = of(*servers)
    selection.active_changed(FakeServer("other"), 1000)
    assert selection._active == 0
