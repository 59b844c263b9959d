"""The least busy server, exactly, however requests begin and end."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from scalability.testing.candidates import FakeServer, Requests
from scalability.upstream.selection.least_connections import LeastConnections


def of(*servers: FakeServer) -> LeastConnections[FakeServer]:
    selection: LeastConnections[FakeServer] = LeastConnections()
    selection.replace(servers)
    return selection


def names(selection: LeastConnections[FakeServer], count: int) -> str:
    return "".join(server.name for _ in range(count) if (server := selection.choose()) is not None)


def test_equally_busy_servers_take_turns_by_weight() -> None:
    assert names(of(FakeServer("a"), FakeServer("b"), FakeServer("c")), 6) == "abcabc"
    assert Counter(names(of(FakeServer("a", 3), FakeServer("b")), 400)) == {"a": 300, "b": 100}


def test_the_least_busy_is_chosen_until_it_is_as_busy_as_the_rest() -> None:
    requests = Requests(of(FakeServer("a", active=3), FakeServer("b"), FakeServer("c", active=1)))
    assert "".join(server.name for _ in range(7) if (server := requests.begin()) is not None) == "bcbcbac"


def test_a_request_that_ends_makes_its_server_the_next() -> None:
    servers = [FakeServer(str(index)) for index in range(5)]
    requests = Requests(of(*servers))
    for _ in range(10):
        requests.begin()
    requests.end(servers[3])
    assert requests.begin() is servers[3]


def test_requests_that_others_sent_count() -> None:
    a, b = FakeServer("a"), FakeServer("b")
    requests = Requests(of(a, b))
    requests.change(a, 1)
    requests.change(a, 1)
    assert requests.begin() is b


def test_a_server_that_joins_idle_is_behind_the_other_idle_ones() -> None:
    a, b, c = FakeServer("a"), FakeServer("b"), FakeServer("c")
    selection = of(a, b)
    assert names(selection, 3) == "aba"
    selection.replace([c, a, b])
    assert names(selection, 2)[0] == "b"


def test_a_turn_is_kept_when_weights_change() -> None:
    a, b = FakeServer("a"), FakeServer("b")
    selection = of(a, b)
    assert names(selection, 1) == "a"
    a.weight = 4
    selection.replace([a, b])
    taken = Counter(names(selection, 500))
    assert abs(taken["a"] - 400) <= 2


def test_servers_that_are_not_chosen_among_may_change_as_they_like() -> None:
    selection = of(FakeServer("a"))
    selection.active_changed(FakeServer("b", active=-1), -1)
    assert names(selection, 1) == "a"


def test_what_was_told_again_and_again_does_not_pile_up() -> None:
    servers = [FakeServer(str(index)) for index in range(10)]
    selection = of(*servers)
    requests = Requests(selection)
    chance = random.Random(1)
    flying = [requests.begin() for _ in range(100)]
    for _ in range(3000):
        at = chance.randrange(100)
        server = flying[at]
        assert server is not None
        requests.end(server)
        flying[at] = requests.begin()
        assert len(selection._heap) <= 2 * 10 + 17


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(0, 10_000))
@settings(max_examples=80, deadline=None)
def test_the_chosen_server_is_the_least_busy_of_those_that_were_not_tried(weights: list[int], seed: int) -> None:
    servers = [FakeServer(str(index), weight) for index, weight in enumerate(weights)]
    requests = Requests(of(*servers))
    chance = random.Random(seed)
    for _ in range(120):
        match chance.randrange(10):
            case 0:
                for server in servers:
                    server.share = chance.choice((0.1, 0.5, 1.0))
                requests.selection.replace(chance.sample(servers, len(servers)))
            case 1:
                requests.change(chance.choice(servers), 1)
            case 2 | 3 | 4 if busy := [server for server in servers if server.active]:
                requests.end(chance.choice(busy))
            case _:
                tried = {server for server in servers if chance.random() < 0.2}
                loads = {
                    server: server.active / (server.weight * server.share) for server in servers if server.weight and server not in tried
                }
                chosen = requests.selection.choose(tried)
                assert (chosen is None) == (not loads)
                if chosen is not None:
                    assert loads[chosen] == min(loads.values())
                    if chance.random() < 0.9:  # some callers change their mind
                        requests.change(chosen, 1)
