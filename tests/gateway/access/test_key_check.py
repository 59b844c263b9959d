"""A route that asks for an API key."""

from typing import Any

import pytest

from scalability.errors import Unauthorized
from scalability.gateway.access.api_keys import KeyRing, line_for, read_ring
from scalability.gateway.access.key_check import KeyCheck
from scalability.testing.exchanges import FakeExchange

KEY = "k" * 40


class Rings:
    def __init__(self) -> None:
        self.ring: KeyRing = read_ring(line_for("app", KEY).encode())


def check(**more: Any) -> KeyCheck:
    return KeyCheck(Rings(), "X-API-Key", consumer_field="X-Consumer", **more)


def test_the_servers_behind_learn_whose_key_it_was_and_do_not_get_it() -> None:
    exchange = FakeExchange(f"x-api-key: {KEY}", "X-Consumer: root", target="/a?b=1")
    check().admit(exchange)
    assert exchange.head.get_all(b"x-consumer") == [b"app"]
    assert exchange.head.get(b"x-api-key") is None
    assert (exchange.head.target, exchange.consumer, exchange.authenticated, exchange.added) == (b"/a?b=1", b"app", True, [])


def test_a_key_in_the_query_goes_no_further_either() -> None:
    exchange = FakeExchange(target=f"/a?key={KEY}&b=1")
    check(parameter="key").admit(exchange)
    assert exchange.head.target == b"/a?b=1"
    both = FakeExchange(f"X-API-Key: {KEY}", target="/a?key=junk")
    check(parameter="key").admit(both)
    assert both.head.target == b"/a"


def test_the_key_is_forwarded_where_that_is_wanted() -> None:
    exchange = FakeExchange(f"X-API-Key: {KEY}", target="/a?key=1")
    check(forward=True, parameter="key").admit(exchange)
    assert exchange.head.get(b"x-api-key") == KEY.encode()
    assert exchange.head.target == b"/a?key=1"


@pytest.mark.parametrize("fields", [[], ["X-API-Key: wrong"], [f"X-API-Key: {KEY}", f"X-API-Key: {KEY}"], [f"X-API-Key: {KEY.upper()}"]])
def test_without_a_key_of_somebody_there_is_a_challenge(fields: list[str]) -> None:
    exchange = FakeExchange(*fields)
    with pytest.raises(Unauthorized):
        check().admit(exchange)
    assert exchange.said("WWW-Authenticate") == ['ApiKey realm="scalelab", field="X-API-Key"']
    assert (exchange.consumer, exchange.authenticated) == (b"", False)


def test_a_key_that_was_taken_away_opens_nothing_any_more() -> None:
    rings = Rings()
    keys = KeyCheck(rings, "X-API-Key")
    exchange = FakeExchange(f"X-API-Key: {KEY}", "X-Consumer: as it came")
    keys.admit(exchange)
    assert exchange.head.get(b"x-consumer") == b"as it came"
    rings.ring = read_ring(b"")
    with pytest.raises(Unauthorized):
        keys.admit(FakeExchange(f"X-API-Key: {KEY}"))
