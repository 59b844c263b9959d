"""A route that asks for a token."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import DependencyDown, Forbidden, Unauthorized
from scalability.gateway.access.claims import Rules
from scalability.gateway.access.jwks import Fetched, FetchFailed, RemoteKeys
from scalability.gateway.access.keys import Keys, secret_key
from scalability.gateway.access.token_check import TokenCheck
from scalability.gateway.access.tokens import Tokens
from scalability.testing.exchanges import FakeExchange
from scalability.testing.signing import SECRET, ec_key, key_set, member, signed

NOW = 1_700_000_000.0


def check(*required: tuple[str, str], **more: Any) -> TokenCheck:
    return TokenCheck(Tokens(Keys([secret_key(SECRET)]), Rules(required=required)), lambda: NOW, **more)


def asked(claims: Any, *fields: str) -> FakeExchange:
    return FakeExchange(f"Authorization: Bearer {signed(claims)}", *fields)


def test_the_servers_behind_learn_whose_token_it_was_and_do_not_get_it() -> None:
    exchange = asked({"sub": "ann@example"}, "X-Subject: root", "x-subject: root")
    assert check(subject_field="X-Subject").admit(exchange) is None
    assert exchange.head.get_all(b"x-subject") == [b"ann@example"]
    assert exchange.head.get(b"authorization") is None
    assert (exchange.consumer, exchange.authenticated, exchange.added) == (b"ann@example", True, [])


def test_the_token_is_forwarded_where_that_is_wanted_and_the_subject_is_not() -> None:
    exchange = asked({"sub": "ann"}, "X-Subject: the client's own")
    check(forward=True).admit(exchange)
    assert exchange.head.get(b"authorization") is not None
    assert exchange.head.get_all(b"x-subject") == [b"the client's own"]


def test_a_subject_is_a_fields_value_whatever_it_is() -> None:
    exchange = asked({"sub": "a b\r\nX-Admin: 1%\u00e4"})
    check(subject_field="X-Subject").admit(exchange)
    assert exchange.head.get_all(b"x-subject") == [b"a%20b%0D%0AX-Admin:%201%25%C3%A4"]
    assert exchange.head.get(b"x-admin") is None


def test_a_token_without_a_subject_leaves_no_subject_of_the_clients() -> None:
    exchange = asked({}, "X-Subject: root")
    check(subject_field="X-Subject").admit(exchange)
    assert exchange.head.get(b"x-subject") is None
    assert (exchange.consumer, exchange.authenticated) == (b"", True)


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ([], Unauthorized, 'Bearer realm="scalelab"'),
        (["Authorization: Bearer a.b.c"], Unauthorized, 'Bearer realm="scalelab", error="invalid_token"'),
        (["Authorization: Basic abc"], Unauthorized, 'Bearer realm="scalelab"'),
        ([f"Authorization: {signed({})}"], Forbidden, 'Bearer realm="scalelab", error="insufficient_scope"'),
        ([f"Authorization: {signed({'scope': 'a'}, ec_key(), 'k')}"], Unauthorized, 'Bearer realm="scalelab", error="invalid_token"'),
    ],
)
def test_a_refusal_comes_with_its_challenge(fields: list[str], error: type[Exception], said: str) -> None:
    exchange = FakeExchange(*fields)
    with pytest.raises(error):
        check(("scope", "b"), scope="b").admit(exchange)
    (challenge,) = exchange.said("WWW-Authenticate")
    assert challenge.startswith(said)
    assert challenge.endswith('scope="b"') == (error is Forbidden)
    assert not exchange.authenticated


class RemoteTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.asked: list[Deferred[Fetched]] = []
        self.remote = RemoteKeys(self.fetch, self.clock, "the key set")
        self.remote.startService()
        self.asked[-1].callback(Fetched(key_set(member(ec_key(), kid="one")), None))
        self.addCleanup(self.remote.stopService)
        tokens = Tokens(Keys([secret_key(SECRET)]), Rules(), self.remote)
        self.check = TokenCheck(tokens, self.clock.seconds, self.remote, subject_field="X-Subject")

    def fetch(self) -> Deferred[Fetched]:
        self.asked.append(Deferred())
        return self.asked[-1]

    def ask(self, kid: str, key: Any) -> tuple[FakeExchange, Any]:
        exchange = FakeExchange(f"Authorization: Bearer {signed({'sub': 'ann'}, key, kid)}")
        return exchange, self.check.admit(exchange)

    def test_a_key_that_is_known_is_not_waited_for(self) -> None:
        assert self.ask("one", ec_key())[1] is None

    def test_a_new_key_is_fetched_and_waited_for(self) -> None:
        exchange, waiting = self.ask("two", ec_key(1))
        other, also = self.ask("two", ec_key(1))
        assert len(self.asked) == 2
        self.asked[-1].callback(Fetched(key_set(member(ec_key(1), kid="two")), None))
        self.successResultOf(waiting)
        self.successResultOf(also)
        assert exchange.head.get_all(b"x-subject") == other.head.get_all(b"x-subject") == [b"ann"]

    def test_a_key_that_is_not_there_after_that_is_refused_at_once_for_a_while(self) -> None:
        exchange, waiting = self.ask("made up", ec_key(1))
        self.asked[-1].callback(Fetched(key_set(member(ec_key(), kid="one")), None))
        self.failureResultOf(waiting, Unauthorized)
        assert exchange.said("WWW-Authenticate")
        for n in range(100):
            with pytest.raises(Unauthorized):
                self.ask(f"made up {n}", ec_key(1))
        assert len(self.asked) == 2

    def test_when_the_keys_cannot_be_fetched_that_is_not_the_clients_fault(self) -> None:
        exchange, waiting = self.ask("two", ec_key(1))
        self.asked[-1].errback(FetchFailed("is down"))
        self.failureResultOf(waiting, DependencyDown)
        assert exchange.added == []
        with pytest.raises(DependencyDown):
            self.ask("two", ec_key(1))
        assert self.ask("one", ec_key())[1] is None

    def test_a_secret_is_never_fetched(self) -> None:
        exchange = FakeExchange(f"Authorization: Bearer {signed({}, b'another secret of thirty-two bytes', 'two')}")
        with pytest.raises(Unauthorized):
            self.check.admit(exchange)
        assert len(self.asked) == 1

    def test_old_keys_are_fetched_again_while_they_are_used(self) -> None:
        self.clock.advance(301)
        assert self.ask("one", ec_key())[1] is None
        assert len(self.asked) == 2
