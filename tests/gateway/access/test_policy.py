"""Everything that a route asks for, together."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import BodyTooLarge, DependencyDown, Forbidden, TooManyRequests, Unauthorized
from scalability.gateway.access.api_keys import line_for, read_ring
from scalability.gateway.access.claims import Rules
from scalability.gateway.access.cors import Cors
from scalability.gateway.access.key_check import KeyCheck
from scalability.gateway.access.keys import Keys, secret_key
from scalability.gateway.access.policy import AccessPolicy
from scalability.gateway.access.token_check import TokenCheck
from scalability.gateway.access.tokens import Tokens
from scalability.gateway.rate_limits.config import Per
from scalability.gateway.rate_limits.fields import Limit
from scalability.gateway.rate_limits.gcra import Rate
from scalability.gateway.rate_limits.policy import CountedLimit, RateLimits
from scalability.gateway.rate_limits.store import MemoryLimits
from scalability.testing.exchanges import FakeExchange
from scalability.testing.signing import SECRET, signed

NOW = 1_700_000_000.0
KEY = "k" * 40
ORIGIN = "Origin: https://app.example"


class Rings:
    ring = read_ring(line_for("app", KEY).encode())


def limits(requests: int, per: Per = Per.CONSUMER) -> RateLimits:
    rate = Rate(requests, 60 * 10**9)
    return RateLimits([CountedLimit(Limit("default", rate), per)], MemoryLimits([rate], 100), lambda: NOW)


def tokens(*required: tuple[str, str]) -> TokenCheck:
    return TokenCheck(Tokens(Keys([secret_key(SECRET)]), Rules(required=required)), lambda: NOW, subject_field="X-Subject")


def policy(**more: Any) -> AccessPolicy:
    return AccessPolicy(cors=Cors(["https://app.example"], methods=["GET"]), **more)


def test_what_asks_for_nothing_says_so() -> None:
    assert not AccessPolicy()
    assert policy()
    assert AccessPolicy(max_body_bytes=0)
    exchange = FakeExchange()
    assert AccessPolicy().admit(exchange) is None
    assert exchange.added == []


def test_a_preflight_is_answered_without_credentials_and_costs_nothing() -> None:
    access = policy(tokens=tokens(), limits=limits(1), max_body_bytes=0)
    for _ in range(5):
        exchange = FakeExchange(ORIGIN, "Access-Control-Request-Method: PUT", method="OPTIONS")
        assert access.admit(exchange) is None
        assert (exchange.begun, exchange.status) == (True, 204)
        assert exchange.said("Access-Control-Allow-Origin") == ["https://app.example"]


def test_a_page_can_read_why_it_was_refused() -> None:
    access = policy(tokens=tokens(), limits=limits(1), max_body_bytes=5)
    for exchange, error in (
        (FakeExchange(ORIGIN, body_bytes=6), BodyTooLarge),
        (FakeExchange(ORIGIN), Unauthorized),
        (FakeExchange(ORIGIN), TooManyRequests),
    ):
        with pytest.raises(error):
            access.admit(exchange)
        assert exchange.said("Access-Control-Allow-Origin") == ["https://app.example"]
        assert exchange.said("Vary") == ["Origin"]


def test_key_and_token_are_both_asked_for_and_both_names_are_told() -> None:
    access = AccessPolicy(
        keys=KeyCheck(Rings(), "X-API-Key", consumer_field="X-Consumer"), tokens=tokens(("role", "admin")), limits=limits(1)
    )
    good = [f"X-API-Key: {KEY}", f"Authorization: Bearer {signed({'sub': 'ann', 'role': 'admin'})}"]
    exchange = FakeExchange(*good)
    assert access.admit(exchange) is None
    assert (exchange.head.get(b"x-consumer"), exchange.head.get(b"x-subject"), exchange.consumer) == (b"app", b"ann", b"app")
    poor = f"Authorization: Bearer {signed({})}"
    for n, (fields, error) in enumerate(((good[:1], Unauthorized), (good[1:], Unauthorized), ([good[0], poor], Forbidden))):
        with pytest.raises(error):
            access.admit(FakeExchange(*fields, peer_host=f"192.0.2.{n}"))


def test_who_tries_keys_out_runs_into_the_limit_and_hurts_nobody_who_has_one() -> None:
    access = AccessPolicy(keys=KeyCheck(Rings(), "X-API-Key"), limits=limits(3))
    outcomes = []
    for n in range(6):
        with pytest.raises((Unauthorized, TooManyRequests)) as caught:
            access.admit(FakeExchange(f"X-API-Key: guess {n}"))
        outcomes.append(type(caught.value))
    assert outcomes == [Unauthorized] * 3 + [TooManyRequests] * 3
    assert access.admit(FakeExchange(f"X-API-Key: {KEY}")) is None


class Later:
    """A token check that has to wait."""

    def __init__(self) -> None:
        self.waiting: Deferred[None] = Deferred()

    def admit(self, exchange: Any) -> Deferred[None]:
        return self.waiting


class WaitingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.later = Later()
        self.access = AccessPolicy(tokens=self.later, limits=limits(1))  # type: ignore[arg-type]  # as far as it is used

    def admit(self, exchange: FakeExchange) -> Deferred[None]:
        waiting = self.access.admit(exchange)
        assert waiting is not None
        return waiting

    def test_limits_come_after_the_wait(self) -> None:
        exchange = FakeExchange()
        waiting = self.admit(exchange)
        assert exchange.said("RateLimit") == []
        self.later.waiting.callback(None)
        self.successResultOf(waiting)
        assert exchange.said("RateLimit") == ['"default";r=0;t=60']

    def test_a_refusal_after_the_wait_is_counted_too(self) -> None:
        for wanted in (Unauthorized, TooManyRequests):
            waiting = self.admit(FakeExchange())
            self.later.waiting.errback(Unauthorized())
            self.failureResultOf(waiting, wanted)
            self.later.waiting = Deferred()

    def test_a_failure_of_ours_is_not_counted(self) -> None:
        exchange = FakeExchange()
        waiting = self.admit(exchange)
        self.later.waiting.errback(DependencyDown())
        self.failureResultOf(waiting, DependencyDown)
        assert exchange.added == []


def test_a_policy_covers_others_whose_keys_and_tokens_it_has_checked() -> None:
    keys, stored = Keys([secret_key(SECRET)]), Rings()

    def token(field: str = "X-Subject", **rules: Any) -> TokenCheck:
        return TokenCheck(Tokens(keys, Rules(**rules)), lambda: NOW, subject_field=field)

    def key(rings: Rings = stored, field: str = "X-Consumer") -> KeyCheck:
        return KeyCheck(rings, "X-API-Key", consumer_field=field)

    both = AccessPolicy(keys=key(), tokens=token(required=(("role", "admin"),)))
    assert both.asks_who
    assert not AccessPolicy(max_body_bytes=1).asks_who
    for covered in (AccessPolicy(), AccessPolicy(keys=key()), AccessPolicy(tokens=token()), both):
        assert both.covers(covered)
    for other in (
        AccessPolicy(keys=key(Rings())),
        AccessPolicy(keys=key(field="X-Who")),
        AccessPolicy(tokens=token(field="X-Who")),
        AccessPolicy(tokens=token(required=(("role", "root"),))),
        AccessPolicy(tokens=tokens()),
    ):
        assert not both.covers(other)
    assert not AccessPolicy(tokens=token()).covers(both)
    assert not AccessPolicy(keys=key()).covers(both)
    assert not AccessPolicy().covers(AccessPolicy(keys=key()))
