"""A second attempt beside the first, in memory: whoever answers first wins."""

from typing import Any

import pytest

from scalability.config import Address
from scalability.http1.trace import Identifiers
from scalability.lifecycle import DeadlineWheel
from scalability.net.connection_pool import ConnectionPool
from scalability.net.http_server import HTTPServerFactory
from scalability.proxy.application import ProxyApplication
from scalability.proxy.decisions import Decisions
from scalability.proxy.retrying import RetryPolicy
from scalability.testing.memory import MemoryNetwork, MemoryTransport
from scalability.testing.retries import usual_retries
from scalability.upstream.rules import UpstreamRules
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec

GET = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


class Race:
    """A proxy that asks a second server after 0.1 s."""

    def __init__(self, servers: int = 2, policy: RetryPolicy = RetryPolicy(), **more: Any) -> None:  # noqa: B008 - it is frozen
        self.network = MemoryNetwork()
        wheel = DeadlineWheel(self.network)
        wheel.startService()
        self.upstream = Upstream(
            RoundRobin,
            lambda spec: ConnectionPool(self.network, spec.address, wheel),
            rules=UpstreamRules(fall=1000),
            seconds=self.network.seconds,
        )
        self.upstream.name_servers("test", [ServerSpec(Address(f"10.0.0.{n + 1}", 80)) for n in range(servers)], trusted=True)
        self.retries = usual_retries(self.network, policy)
        self.decisions = Decisions(self.upstream, 10, wall=self.network.seconds)
        application = ProxyApplication(
            self.upstream, via=b"lb", retries=self.retries, hedge_s=0.1, decisions=self.decisions, identifiers=Identifiers(bytes), **more
        )
        self.factory = HTTPServerFactory(application, clock=self.network, wheel=wheel)
        self.client = self.network.connect_to(self.factory)

    def ask(self, request: bytes = GET) -> MemoryTransport:
        self.client.deliver(request)
        return self.network.accept()

    def second(self) -> MemoryTransport:
        self.network.advance(0.1)
        return self.network.accept()

    def settled(self) -> bool:
        return all(server.active == 0 for server in self.upstream) and self.factory.counts.active == 0 and self.retries.budget.in_use == 0

    def failures(self) -> list[dict[str, int]]:
        return [server.failures for server in self.upstream]


def test_the_second_server_s_answer_wins_when_it_comes_first_and_the_first_attempt_is_cancelled() -> None:
    race = Race()
    first = race.ask()
    second = race.second()
    assert second.taken() == first.taken()
    second.deliver(OK + b"h")
    assert first.ended == "reset"
    second.deliver(b"i")
    assert race.client.taken().endswith(b"\r\n\r\nhi")
    assert race.failures() == [{"outrun": 1}, {}]
    assert race.settled()


def test_the_first_server_s_answer_wins_too_and_the_second_attempt_is_cancelled() -> None:
    race = Race()
    first = race.ask()
    second = race.second()
    first.deliver(OK + b"hi")
    assert race.client.taken().endswith(b"\r\n\r\nhi")
    assert second.ended == "reset"
    assert race.failures() == [{}, {"outrun": 1}]
    assert race.settled()


def test_an_answer_in_time_leaves_nobody_to_be_asked() -> None:
    race = Race()
    race.ask().deliver(OK + b"hi")
    race.network.advance(1)
    assert race.network.attempts == []
    assert race.settled()


@pytest.mark.parametrize(
    "request_", [b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n", b"PUT /a HTTP/1.1\r\nHost: shop\r\n\r\n"]
)
def test_only_get_and_head_are_asked_twice(request_: bytes) -> None:
    race = Race()
    race.ask(request_)
    race.network.advance(1)
    assert race.network.attempts == []


def test_without_another_server_the_first_is_waited_for() -> None:
    race = Race(servers=1)
    first = race.ask()
    race.network.advance(1)
    assert race.network.attempts == []
    first.deliver(OK + b"hi")
    assert race.client.taken().endswith(b"hi")
    assert race.settled()


def test_the_budget_bounds_second_attempts() -> None:
    race = Race(servers=3)
    race.retries.budget.min_concurrent = 0
    race.ask()
    race.network.advance(1)
    assert race.network.attempts == []
    assert race.retries.budget.denied == 1


@pytest.mark.parametrize("how", ["finish", "refuse"])
def test_when_the_second_attempt_fails_the_first_is_waited_for(how: str) -> None:
    race = Race()
    first = race.ask()
    race.network.advance(0.1)
    if how == "refuse":
        race.network.refuse()
    else:
        race.network.accept().finish()
    first.deliver(OK + b"hi")
    assert race.client.taken().endswith(b"hi")
    assert race.settled()


def test_when_the_first_attempt_fails_the_second_is_waited_for() -> None:
    race = Race()
    first = race.ask()
    second = race.second()
    first.finish()
    assert race.network.attempts == []
    second.deliver(OK + b"hi")
    assert race.client.taken().endswith(b"hi")
    assert race.settled()


@pytest.mark.parametrize("retries", [0, 2])
def test_when_both_fail_it_is_a_matter_of_retries(retries: int) -> None:
    race = Race(servers=3, policy=RetryPolicy(retries=retries))
    first = race.ask()
    second = race.second()
    first.finish()
    second.finish()
    if retries:
        race.network.accept().deliver(OK + b"hi")
        assert race.client.taken().startswith(b"HTTP/1.1 200")
    else:
        assert race.client.taken().startswith(b"HTTP/1.1 502")
    assert race.settled()


@pytest.mark.parametrize("retries", [0, 2])
def test_when_neither_could_connect_nothing_was_sent_and_a_third_server_is_asked(retries: int) -> None:
    race = Race(servers=3, policy=RetryPolicy(retries=retries))
    race.client.deliver(GET)
    race.network.advance(0.1)
    race.network.refuse()
    race.network.refuse()
    race.network.accept().deliver(OK + b"hi")
    assert race.client.taken().endswith(b"hi")
    assert race.settled()


@pytest.mark.parametrize(("retries", "status"), [(0, 502), (2, 200)])
def test_when_the_first_could_not_connect_and_the_second_is_lost_that_is_what_is_told_or_retried(retries: int, status: int) -> None:
    race = Race(servers=3, policy=RetryPolicy(retries=retries))
    race.client.deliver(GET)
    race.network.advance(0.1)
    race.network.refuse()
    race.network.accept().finish()
    if retries:
        race.network.accept().deliver(OK + b"hi")
    assert race.client.taken().startswith(b"HTTP/1.1 %d" % status)
    assert [failures for failures in race.failures() if failures] == [{"connect_failed": 1}, {"no_answer": 1}]
    assert race.settled()


def test_a_server_that_goes_down_while_it_is_connected_to_is_not_taken_for_one_that_refused() -> None:
    race = Race(servers=3)
    race.client.deliver(GET)
    race.network.advance(0.1)
    first, second, _ = race.upstream
    race.upstream.went_down(first)
    race.upstream.went_down(second)
    race.network.accept().deliver(OK + b"hi")
    assert race.client.taken().endswith(b"hi")
    assert race.failures() == [{"went_down": 1}, {"went_down": 1}, {}]
    assert not first.unreachable
    assert race.settled()


def test_a_client_that_leaves_cancels_both() -> None:
    race = Race()
    first = race.ask()
    second = race.second()
    race.client.reset()
    assert (first.ended, second.ended) == ("reset", "reset")
    assert race.settled()


def test_a_client_that_leaves_before_the_second_attempt_cancels_it() -> None:
    race = Race()
    race.ask()
    race.client.reset()
    race.network.advance(1)
    assert race.network.attempts == []
    assert race.settled()


def test_a_second_server_that_goes_down_is_waited_for_no_longer() -> None:
    race = Race()
    first = race.ask()
    second = race.second()
    race.upstream.went_down(next(server for server in race.upstream if server.name.startswith(second.getPeer().host)))
    assert second.ended == "reset"
    first.deliver(OK + b"hi")
    assert race.client.taken().endswith(b"hi")
    assert race.settled()


def test_both_attempts_are_remembered_with_their_reasons_and_times() -> None:
    race = Race()
    race.ask()
    begun_s = race.network.seconds()
    race.second().deliver(OK + b"hi")
    (name,) = [line.split(b": ")[1] for line in race.client.taken().split(b"\r\n") if line.startswith(b"X-Request-Id")]
    told = race.decisions.explain(name)
    assert [(decision["server"], decision["reason"]) for decision in told] == [("10.0.0.1:80", "chosen"), ("10.0.0.2:80", "hedged")]
    assert told[1]["at"] - begun_s == pytest.approx(0.1)
