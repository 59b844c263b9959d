"""Rate limits on requests."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from scalability.errors import TooManyRequests
from scalability.gateway.rate_limits.config import Per
from scalability.gateway.rate_limits.fields import Limit, Older
from scalability.gateway.rate_limits.gcra import Rate, Verdict
from scalability.gateway.rate_limits.policy import CountedLimit, RateLimits
from scalability.gateway.rate_limits.store import MemoryLimits
from scalability.testing.exchanges import FakeExchange

S = 1_000_000_000


class Limited:
    def __init__(self, *limits: tuple[int, int, Per], older: Older = Older.NONE) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000.25)
        counted = [CountedLimit(Limit(f"l{n}", Rate(requests, window * S)), per) for n, (requests, window, per) in enumerate(limits)]
        self.store = MemoryLimits([one.limit.rate for one in counted], 1000)
        self.limits = RateLimits(counted, self.store, self.clock.seconds, older)

    def ask(self, peer: str = "192.0.2.1", *, consumer: bytes = b"", client: bytes = b"") -> tuple[int, FakeExchange]:
        exchange = FakeExchange(peer_host=peer)
        exchange.consumer, exchange.client_host = consumer, client
        try:
            assert self.limits.admit(exchange) is None
        except TooManyRequests as error:
            return error.retry_after_s or -1, exchange
        return 0, exchange


def test_a_client_is_told_what_is_left_and_then_when_to_come_again() -> None:
    limited = Limited((2, 60, Per.CLIENT), older=Older.X_RATELIMIT)
    answers = [limited.ask() for _ in range(3)]
    assert [wait for wait, _ in answers] == [0, 0, 30]
    assert [exchange.said("RateLimit") for _, exchange in answers] == [['"l0";r=1;t=30'], ['"l0";r=0;t=30'], ['"l0";r=0;t=30']]
    assert all(exchange.said("RateLimit-Policy") == ['"l0";q=2;w=60'] for _, exchange in answers)
    assert [exchange.said("X-RateLimit-Remaining") for _, exchange in answers] == [["1"], ["0"], ["0"]]
    limited.clock.advance(30)
    assert limited.ask()[0] == 0
    assert (limited.limits.admitted, limited.limits.refused) == (3, 1)


def test_retry_after_is_the_longest_of_the_waits_and_never_zero() -> None:
    limited = Limited((1, 1, Per.CLIENT), (1, 90, Per.CLIENT))
    limited.ask()
    assert limited.ask()[0] == 90
    short = Limited((1000, 1, Per.CLIENT))
    while not (wait := short.ask()[0]):
        pass
    assert wait == 1


def test_each_client_has_its_own_quota_and_an_ipv6_network_one_together() -> None:
    limited = Limited((1, 60, Per.CLIENT))
    assert [limited.ask(peer)[0] for peer in ("192.0.2.1", "192.0.2.2", "192.0.2.1")] == [0, 0, 60]
    assert [limited.ask(peer)[0] for peer in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "::ffff:192.0.2.2")] == [0, 60, 0, 60]


def test_behind_a_trusted_proxy_the_client_counts_that_it_names() -> None:
    limited = Limited((1, 60, Per.CLIENT))
    assert [limited.ask("10.0.0.1", client=client)[0] for client in (b"192.0.2.1", b"192.0.2.2", b"192.0.2.1", b"::x", b"::x")] == [
        0,
        0,
        60,
        0,
        60,
    ]


def test_a_consumer_counts_wherever_he_comes_from_and_nobody_can_be_taken_for_one() -> None:
    limited = Limited((1, 60, Per.CONSUMER))
    assert limited.ask("192.0.2.1", consumer=b"app")[0] == 0
    assert limited.ask("192.0.2.2", consumer=b"app")[0] == 60
    assert limited.ask("192.0.2.1", consumer=b"other")[0] == 0
    assert limited.ask("192.0.2.1")[0] == 0
    assert limited.ask("192.0.2.9", consumer=b"192.0.2.1")[0] == 0


def test_a_route_counts_everybody() -> None:
    limited = Limited((2, 60, Per.ROUTE))
    assert [limited.ask(f"192.0.2.{n}")[0] for n in range(3)] == [0, 0, 30]


def test_a_request_that_one_limit_refuses_costs_nothing_of_the_others() -> None:
    limited = Limited((3, 60, Per.ROUTE), (1, 60, Per.CLIENT))
    limited.ask("192.0.2.1")
    for _ in range(10):
        assert limited.ask("192.0.2.1")[0] == 60
    assert limited.ask("192.0.2.2")[1].said("RateLimit") == ['"l0";r=1;t=40, "l1";r=0;t=60']


class Slow:
    def __init__(self) -> None:
        self.waiting: list[Deferred[Verdict]] = []

    def take(self, keys: Any, now_ns: int) -> Deferred[Verdict]:
        self.waiting.append(Deferred())
        return self.waiting[-1]


def test_a_store_that_is_far_away_is_waited_for() -> None:
    near = MemoryLimits([Rate(1, S)], 10)
    slow = Slow()
    limits = RateLimits([CountedLimit(Limit("a", Rate(1, S)), Per.CLIENT)], slow, lambda: 1.0)
    outcomes: list[Any] = []
    for _ in range(2):
        waiting = limits.admit(FakeExchange())
        assert waiting is not None
        waiting.addBoth(outcomes.append)
    assert outcomes == []
    for waiter in slow.waiting:
        waiter.callback(near.take([b"x"], S))
    assert outcomes[0] is None
    assert outcomes[1].check(TooManyRequests)


def test_cells_may_be_shared_by_several_routes() -> None:
    everywhere = MemoryLimits([Rate(2, S)], 10)
    one, two = (MemoryLimits([Rate(5, S)], 10, everywhere.cells) for _ in range(2))
    assert [store.take([b"a", b"a"], S).admitted for store in (one, two, one, two)] == [True, True, False, False]
