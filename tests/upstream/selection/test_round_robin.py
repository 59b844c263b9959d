"""Round robin: fair shares, no starvation, nothing lost when the set changes."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from scalability.testing.candidates import FakeServer as Fake
from scalability.upstream.selection import RoundRobin


def picks(selection: RoundRobin[Fake], count: int) -> str:
    chosen = [selection.choose() for _ in range(count)]
    return "".join(server.name for server in chosen if server is not None)


def of(*servers: Fake) -> RoundRobin[Fake]:
    selection: RoundRobin[Fake] = RoundRobin()
    selection.replace(servers)
    return selection


def test_equal_servers_take_turns() -> None:
    assert picks(of(Fake("a"), Fake("b"), Fake("c")), 7) == "abcabca"


def test_there_is_none_to_choose_among_none() -> None:
    assert of().choose() is None
    assert of(Fake("a", 0)).choose() is None


def test_heavy_servers_are_spread_and_not_bunched() -> None:
    assert picks(of(Fake("a", 5), Fake("b"), Fake("c")), 14) == "aaabcaa" * 2


def test_a_tried_server_is_passed_over_for_that_request_only() -> None:
    a, b = Fake("a"), Fake("b")
    selection = of(a, b)
    assert selection.choose({a}) is b
    assert picks(selection, 2) == "ab"


def test_a_tried_server_stays_due_in_the_weighted_order() -> None:
    a, b = Fake("a", 2), Fake("b", 1)
    selection = of(a, b)
    assert selection.choose({a}) is b
    assert picks(selection, 2) == "aa"
    assert selection.choose({a, b}) is None


def test_when_all_were_tried_there_is_none() -> None:
    a, b = Fake("a"), Fake("b")
    assert of(a, b).choose({a, b}) is None


def test_weight_0_takes_no_requests() -> None:
    assert picks(of(Fake("a", 0), Fake("b", 2), Fake("c", 1)), 6).count("a") == 0


def test_the_rotation_goes_on_where_it_was_when_a_server_leaves() -> None:
    a, b, c = Fake("a"), Fake("b"), Fake("c")
    selection = of(a, b, c)
    assert picks(selection, 1) == "a"
    selection.replace([a, c])
    assert picks(selection, 3) == "cac"


def test_a_server_that_joins_the_weighted_order_does_not_catch_up() -> None:
    a, b, c = Fake("a", 1), Fake("b", 2), Fake("c", 3)
    selection = of(a, b)
    picks(selection, 3000)
    selection.replace([a, b, c])
    assert Counter(picks(selection, 60)) == {"a": 10, "b": 20, "c": 30}


def test_a_changed_weight_counts_from_the_next_choice() -> None:
    a, b = Fake("a", 1), Fake("b", 2)
    selection = of(a, b)
    picks(selection, 30)
    b.weight = 9
    selection.replace([a, b])
    assert Counter(picks(selection, 100)) == {"a": 10, "b": 90}


@given(st.lists(st.integers(0, 256), min_size=1, max_size=12), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_each_server_gets_its_weight_in_turns(weights: list[int], rounds: int) -> None:
    selection = of(*(Fake(chr(97 + i), weight) for i, weight in enumerate(weights)))
    taken = Counter(picks(selection, rounds * sum(weights)))
    assert taken == Counter({chr(97 + i): rounds * weight for i, weight in enumerate(weights) if weight})


@given(st.lists(st.integers(1, 256), min_size=2, max_size=8), st.integers(1, 600))
@settings(max_examples=60, deadline=None)
def test_no_server_is_ever_further_than_one_turn_from_its_share(weights: list[int], count: int) -> None:
    selection = of(*(Fake(chr(97 + i), weight) for i, weight in enumerate(weights)))
    taken = Counter(picks(selection, count))
    for i, weight in enumerate(weights):
        share = count * weight / sum(weights)
        assert abs(taken[chr(97 + i)] - share) <= len(weights) / 2 + 1


@given(st.lists(st.sets(st.integers(0, 9), min_size=1), min_size=1, max_size=20), st.booleans())
@settings(max_examples=60, deadline=None)
def test_only_servers_of_the_present_set_are_chosen_and_each_within_one_round(sets: list[set[int]], weighted: bool) -> None:
    servers = [Fake(str(i), 1 + i % 3 if weighted else 1) for i in range(10)]
    selection = of()
    for present in sets:
        selection.replace([servers[i] for i in sorted(present)])
        total = sum(servers[i].weight for i in present)
        assert set(picks(selection, 3 * total)) == {str(i) for i in present}


def test_a_share_of_a_weight_counts_as_that_much_weight() -> None:
    a, b = Fake("a", 10, share=0.1), Fake("b", 3)
    assert Counter(picks(of(a, b), 400)) == {"a": 100, "b": 300}


def test_a_server_that_is_full_for_long_saves_up_no_turns() -> None:
    a, b = Fake("a", 3), Fake("b", 1)
    selection = of(a, b)
    for _ in range(1000):
        assert selection.choose((a,)) is b
    assert 29 <= picks(selection, 40).count("a") <= 31


def test_who_waits_keeps_its_place_when_weights_become_unequal_and_equal_again() -> None:
    a, b, c = Fake("a"), Fake("b"), Fake("c")
    selection = of(a, b, c)
    assert picks(selection, 1) == "a"
    c.weight = 2
    selection.replace([a, b, c])
    assert picks(selection, 1) == "b"
    c.weight = 1
    selection.replace([a, b, c])
    assert picks(selection, 3) == "cab"


@given(st.lists(st.integers(1, 3), min_size=6, max_size=60))
@settings(max_examples=60, deadline=None)
def test_a_slow_start_that_replaces_the_set_all_the_time_starves_nobody(waits: list[int]) -> None:
    a, b, c = Fake("a", 4), Fake("b", 4), Fake("c", 4, share=0.1)
    selection = of(a, b, c)
    taken: Counter[str] = Counter()
    wanted = 0.0
    for step, wait in enumerate(waits):
        c.share = min(1.0, 0.1 + step / 40)
        selection.replace([c, a, b])
        taken.update(picks(selection, wait))
        wanted += wait * c.share / (2 + c.share)
    assert abs(taken["c"] - wanted) <= 2
    assert abs(taken["a"] - taken["b"]) <= 2
