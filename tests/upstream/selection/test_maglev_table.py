"""Maglev's table: shares by weight, little moved by a change, built in pieces."""

from collections import Counter
from hashlib import blake2b

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalability.upstream.selection.maglev_table import SIZE, build, hashed

Weights = dict[str, float]


def table(weights: Weights, size: int = SIZE) -> list[str]:
    building = build([(name, name, weight) for name, weight in weights.items()], size)
    while True:
        try:
            next(building)
        except StopIteration as ended:
            found: list[str] = ended.value
            return found


def equal(count: int) -> Weights:
    return {f"10.0.{index // 256}.{index % 256}:80": 1.0 for index in range(count)}


def moved(before: list[str], after: list[str], but: set[str]) -> float:
    """The part of all places that changed hands, apart from those that ``but`` had or have."""
    return sum(a != b and a not in but and b not in but for a, b in zip(before, after, strict=True)) / len(before)


def reference(weights: Weights, size: int) -> list[str]:
    """The paper's loop with Envoy's weights, as plain as can be."""
    names = sorted(weights)
    orders = {}
    for name in names:
        digest = hashed_twice(name)
        offset, step = digest[0] % size, digest[1] % (size - 1) + 1
        orders[name] = iter([(offset + index * step) % size for index in range(size)])
    places: list[str | None] = [None] * size
    target = dict.fromkeys(names, 0.0)
    turn = 0
    while True:
        turn += 1
        for name in names:
            if turn * weights[name] < target[name]:
                continue
            target[name] += max(weights.values())
            places[next(place for place in orders[name] if places[place] is None)] = name
            if None not in places:
                return [place for place in places if place is not None]


def hashed_twice(name: str) -> tuple[int, int]:
    digest = blake2b(name.encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


@given(st.lists(st.sampled_from((0.1, 0.5, 1, 2, 3, 7, 256)), min_size=2, max_size=9), st.sampled_from((7, 31, 251, 521)))
@settings(max_examples=60, deadline=None)
def test_it_is_the_table_of_the_papers_plain_loop(weights: list[float], size: int) -> None:
    named = {f"server-{index}:80": weight for index, weight in enumerate(weights)}
    assert table(named, size) == reference(named, size)


def test_equal_servers_differ_by_one_place() -> None:
    counts = Counter(table(equal(100)))
    assert sum(counts.values()) == SIZE
    assert max(counts.values()) - min(counts.values()) <= 1


def test_places_follow_weights() -> None:
    weights = {"a": 1.0, "b": 2.0, "c": 5.0, "d": 0.5}
    counts = Counter(table(weights))
    for name, weight in weights.items():
        assert counts[name] / SIZE == pytest.approx(weight / 8.5, rel=0.001)


def test_every_server_has_a_place_however_light() -> None:
    counts = Counter(table({"heavy": 256.0, **equal(1000)}))
    assert len(counts) == 1001


def test_one_server_or_none_needs_no_table() -> None:
    assert table({}) == []
    assert table({"a": 3.0}) == ["a"]


def test_the_order_of_servers_does_not_matter() -> None:
    weights = {"a": 1.0, "b": 2.0, "c": 1.0}
    assert table(weights) == table(dict(reversed(weights.items())))


@pytest.mark.parametrize("count", [3, 10, 100])
def test_when_a_server_goes_few_places_of_the_others_change_hands(count: int) -> None:
    before = equal(count)
    gone = sorted(before)[count // 2]
    after = {name: weight for name, weight in before.items() if name != gone}
    # a plain modulo would move nearly all; the paper shows a few percent where the table is a hundred times the servers
    assert moved(table(before), table(after), {gone}) < 0.01


@pytest.mark.parametrize("count", [3, 10, 100])
def test_when_a_server_comes_few_places_of_the_others_change_hands(count: int) -> None:
    before = equal(count)
    after = {**before, "10.1.0.0:80": 1.0}
    assert moved(table(before), table(after), {"10.1.0.0:80"}) < 0.01


def test_a_weight_that_changes_moves_places_to_or_from_that_server() -> None:
    before = equal(20)
    name = sorted(before)[7]
    assert moved(table(before), table({**before, name: 2.0}), {name}) < 0.01


def test_it_is_built_in_pieces() -> None:
    assert sum(1 for _ in build([(name, name, weight) for name, weight in equal(500).items()])) > 50


def test_hashes_of_keys_that_are_alike_are_not() -> None:
    digests = [hashed(b"/item/%d" % number) for number in range(10_000)]
    assert len(set(digests)) == 10_000
    for bit in range(64):
        assert 4700 < sum(digest >> bit & 1 for digest in digests) < 5300
    assert hashed(b"") == 13020603013274838756  # the same in every process
