"""What differs between two configurations, and what of it a running balancer can take in."""

from typing import Any

import pytest

from scalability.balancer.change import ADMIN, CHECKS, RELOADABLE, SERVERS, TRAFFIC, Change
from scalability.balancer.config import BalancerOptions
from scalability.config import Address
from scalability.config.load import fields_of
from scalability.upstream.discovery import Backend


def described(old: BalancerOptions, new: BalancerOptions) -> str:
    return Change.between(old, new, {}).what


def options(*backends: str, **more: Any) -> BalancerOptions:
    return BalancerOptions(backend=tuple(map(Backend.parse, backends or ("a:1",))), **more)


def test_every_key_that_can_be_changed_is_one_and_stands_in_one_group() -> None:
    assert {field.key for field in fields_of(BalancerOptions)} >= RELOADABLE
    assert not CHECKS & TRAFFIC
    assert len(RELOADABLE) == len(SERVERS) + len(ADMIN) + len(CHECKS) + len(TRAFFIC)


def test_equal_configurations_do_not_differ() -> None:
    change = Change.between(options("a:1"), options("a:1"), {})
    assert (change.keys, change.what, change.fixed) == (frozenset(), "", ())


def test_keys_are_told_as_their_users_write_them() -> None:
    change = Change.between(options("a:1"), options("a:1,weight=2", health_interval_s=5.0, idle_timeout_s=30.0), {})
    assert change.keys == {"backend", "health_interval", "idle_timeout"}
    assert change.touches(SERVERS)
    assert change.touches(TRAFFIC)
    assert not Change.between(options("a:1"), options("b:1"), {}).touches(TRAFFIC)


@pytest.mark.parametrize(
    ("more", "keys"),
    [
        ({"listen": Address("127.0.0.1", 1), "admin": Address("127.0.0.1", 2)}, ("admin", "listen")),
        ({"workers": 2, "idle_timeout_s": 3.0}, ("workers",)),
        ({"max_connections": 5}, ("max_connections",)),
        ({"health_rise": 5, "retries": 1, "connect_timeout_s": 1.0}, ()),
    ],
)
def test_what_is_made_once_needs_a_restart(more: dict[str, Any], keys: tuple[str, ...]) -> None:
    assert Change.between(options(), options("b:1", **more), {}).fixed == keys


def test_a_change_is_described_in_one_line() -> None:
    old = options("a:1", "b:1", idle_timeout_s=75.0)
    new = options("b:1,weight=3", "a:1", idle_timeout_s=30.0, health_path="/live")
    assert described(old, new) == 'backend +b:1,weight=3 -b:1, health_path "/health" -> "/live", idle_timeout 75.0 -> 30.0'
    assert described(options("a:1", "b:1"), options("b:1", "a:1")) == "backend in another order"


def test_the_line_has_a_bound() -> None:
    line = described(options(*(f"a{n}:1" for n in range(5000))), options("b:1"))
    assert line.startswith("backend +b:1 -a0:1 ")
    assert line.endswith(" -a8:1 and 4991 more")
    assert described(options(), options(health_body="x" * 500)).endswith("x...")
