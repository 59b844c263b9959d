"""A policy in front of an application, on a real server in memory."""

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from scalability.errors import DependencyDown, Forbidden, ScalelabError
from scalability.gateway.access.cors import Cors
from scalability.gateway.access.guard import Guard
from scalability.gateway.access.policy import AccessPolicy
from scalability.gateway.exchange import GatewayExchange, GatewayFactory
from scalability.lifecycle import DeadlineWheel
from scalability.net.exchange import Exchange
from scalability.testing.memory import MemoryNetwork

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


class Asks:
    """A token check that the test plays: it raises, waits, or lets pass."""

    def __init__(self, outcome: Callable[[], Any] = lambda: None) -> None:
        self.outcome = outcome
        self.cancelled = 0
        self.waiting: list[Deferred[None]] = []

    def admit(self, exchange: Any) -> Deferred[None] | None:
        exchange.added.append((b"X-Said", b"always"))
        return self.outcome()  # type: ignore[no-any-return]

    def wait(self) -> Deferred[None]:
        def cancel(_: object) -> None:
            self.cancelled += 1

        self.waiting.append(Deferred(cancel))
        return self.waiting[-1]

    def fail(self) -> None:
        raise Forbidden("no")


class Server:
    def __init__(self, asks: Asks, **more: Any) -> None:
        self.network = MemoryNetwork()
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()
        self.exchanges: list[Exchange] = []
        self.bodies: list[tuple[bytes, bool]] = []
        self.fails = False
        tokens: Any = asks
        policy = AccessPolicy(tokens=tokens, **more)
        self.factory = GatewayFactory(Guard(lambda exchange: policy, self), clock=self.network, wheel=self.wheel)
        self.client = self.network.connect_to(self.factory)

    def request_received(self, exchange: Exchange) -> None:
        if self.fails:
            raise LookupError("the application's mistake")
        self.exchanges.append(exchange)
        exchange.receiver = self
        if exchange.body_complete:
            exchange.answer(200, b"ok")

    def body_received(self, data: bytes, ended: bool) -> None:
        self.bodies.append((data, ended))
        if ended:
            self.exchanges[-1].answer(200, b"ok")

    def client_lost(self, error: ScalelabError) -> None: ...

    def client_full(self) -> None: ...

    def client_ready(self) -> None: ...

    def ask(self, request: bytes = GET) -> bytes:
        self.client.deliver(request)
        return self.client.taken()

    def fire(self, asks: Asks, outcome: Any = None) -> bytes:
        waiting = asks.waiting.pop(0)
        if isinstance(outcome, Exception):
            waiting.errback(outcome)
        else:
            waiting.callback(None)
        self.network.advance(0)
        return self.client.taken()


def test_what_passes_is_answered_with_the_policys_fields() -> None:
    server = Server(Asks())
    answered = server.ask()
    assert answered.startswith(b"HTTP/1.1 200 ")
    assert b"X-Said: always\r\n" in answered


def test_what_is_refused_never_gets_to_the_application_and_the_connection_goes_on() -> None:
    asks = Asks()
    asks.outcome = asks.fail
    server = Server(asks)
    refused = server.ask()
    assert refused.startswith(b"HTTP/1.1 403 ")
    assert b"X-Said: always\r\n" in refused
    assert server.exchanges == []
    asks.outcome = lambda: None
    assert server.ask().startswith(b"HTTP/1.1 200 ")


def test_a_preflight_is_answered_here() -> None:
    server = Server(Asks(), cors=Cors(["https://a.example"], methods=["GET"]))
    fields = b"Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n"
    answered = server.ask(b"OPTIONS / HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
    assert answered.startswith(b"HTTP/1.1 204 ")
    assert b"Access-Control-Allow-Origin: https://a.example\r\n" in answered
    assert b"Content-Length" not in answered
    assert server.exchanges == []
    assert server.ask().startswith(b"HTTP/1.1 200 ")


def test_a_policy_that_waits_holds_a_request_and_those_behind_it() -> None:
    asks = Asks()
    asks.outcome = asks.wait
    server = Server(asks)
    assert server.ask(GET + GET) == b""
    assert len(asks.waiting) == 1
    assert server.fire(asks).count(b"HTTP/1.1 200 ") == 1
    assert server.fire(asks).count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize(("error", "status"), [(Forbidden(), b"403"), (DependencyDown(), b"503"), (LookupError("ours"), b"500")])
def test_a_refusal_after_a_wait_is_answered(error: Exception, status: bytes, logged_failures: Any) -> None:
    asks = Asks()
    asks.outcome = asks.wait
    server = Server(asks)
    server.ask()
    answered = server.fire(asks, error)
    assert answered.startswith(b"HTTP/1.1 " + status)
    assert b"ours" not in answered
    assert server.exchanges == []
    logged_failures.flush(LookupError)


@pytest.mark.parametrize("pieces", [[10], [0, 10], [3, 7], [1] * 10, [0, 4, 0, 6]])
@pytest.mark.parametrize("at", range(0, 11, 2))
def test_a_body_that_comes_meanwhile_is_not_lost(pieces: list[int], at: int) -> None:
    asks = Asks()
    asks.outcome = asks.wait
    server = Server(asks)
    body = b"0123456789"
    server.client.deliver(POST)
    sent = 0
    for piece in pieces:
        if sent >= at and asks.waiting:
            server.fire(asks)
        server.client.deliver(body[sent : sent + piece])
        server.network.advance(0)
        sent += piece
    if asks.waiting:
        server.fire(asks)
    server.network.advance(0)
    (exchange,) = server.exchanges
    assert exchange.body + b"".join(data for data, _ in server.bodies) == body
    assert exchange.body_complete


def test_a_client_that_leaves_ends_the_wait() -> None:
    asks = Asks()
    asks.outcome = asks.wait
    server = Server(asks)
    server.ask(POST)
    server.client.reset()
    server.network.advance(0)
    assert asks.cancelled == 1
    assert server.exchanges == []


def test_an_application_that_fails_after_a_wait_is_a_mistake_of_ours_that_the_client_is_told_nothing_of(logged_failures: Any) -> None:
    asks = Asks()
    asks.outcome = asks.wait
    server = Server(asks)
    server.fails = True
    server.ask()
    answered = server.fire(asks)
    assert answered.startswith(b"HTTP/1.1 500 ")
    assert b"mistake; its log" in answered
    assert len(logged_failures.flush(LookupError)) == 1


def test_without_a_policy_everything_passes() -> None:
    server = Server(Asks())
    server.factory.application = Guard(lambda exchange: None, server)
    assert b"X-Said" not in server.ask()
    assert isinstance(server.exchanges[0], GatewayExchange)
