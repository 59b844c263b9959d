"""What one route does with a request."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from scalability.errors import Forbidden, ScalelabError
from scalability.gateway.exchange import GatewayExchange
from scalability.gateway.routing.config import RouteOptions
from scalability.testing.gateway_routes import MemoryGateway

A = RouteOptions(prefix="/a", url="http://10.0.0.1")
POST = b"Content-Length: 4\r\n"


class Guard:
    """A policy that a test decides for."""

    keys = tokens = None

    def __init__(self) -> None:
        self.waiting: list[Deferred[None]] = []
        self.cancelled = 0
        self.error: ScalelabError | None = None
        self.answers = False
        self.waits = False

    def admit(self, exchange: GatewayExchange) -> Deferred[None] | None:
        exchange.added.append((b"RateLimit", b"r=1"))
        if self.error is not None:
            raise self.error
        if self.answers:
            exchange.answer(204, b"")
        if self.waits:
            self.waiting.append(Deferred(self._cancel))
            return self.waiting[-1]
        return None

    def _cancel(self, waiting: Deferred[None]) -> None:
        self.cancelled += 1


def guarded(**more: Any) -> tuple[MemoryGateway, Guard]:
    gateway = MemoryGateway(A)
    guard = Guard()
    for name, value in more.items():
        setattr(guard, name, value)
    known = gateway.routes.routes["/a"]
    known.__init__(known.name, known.application, guard)  # type: ignore[misc]
    return gateway, guard


def test_who_is_admitted_is_served_with_the_added_fields() -> None:
    gateway, _ = guarded()
    gateway.ask()
    gateway.answer()
    assert b"\r\nRateLimit: r=1\r\n\r\nhi" in gateway.client.taken()


def test_who_is_refused_is_told_why_with_the_added_fields_and_no_server_is_asked() -> None:
    gateway, _ = guarded(error=Forbidden())
    gateway.ask()
    sent = gateway.client.taken()
    assert sent.startswith(b"HTTP/1.1 403 ")
    assert b"\r\nRateLimit: r=1\r\n" in sent
    assert gateway.network.attempts == []


def test_a_policy_may_answer_itself() -> None:
    gateway, _ = guarded(answers=True)
    gateway.ask()
    assert gateway.client.taken().startswith(b"HTTP/1.1 204 ")
    assert gateway.network.attempts == []


def test_a_request_waits_with_its_body_for_a_policy_that_asks_somebody() -> None:
    gateway, guard = guarded(waits=True)
    gateway.ask(method=b"POST", fields=POST, body=b"bo")
    gateway.client.deliver(b"dy")
    assert gateway.network.attempts == []
    guard.waiting[0].callback(None)
    server = gateway.network.accept()
    gateway.network.advance(0)
    assert server.taken().endswith(b"\r\n\r\nbody")
    server.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    assert gateway.client.taken().endswith(b"hi")


def test_a_large_body_stops_arriving_while_a_policy_decides_and_goes_on_after_that() -> None:
    gateway, guard = guarded(waits=True)
    size = 300_000
    gateway.ask(method=b"POST", fields=b"Content-Length: %d\r\n" % size)
    pieces = [b"x" * 50_000] * 6
    for piece in pieces:
        gateway.client.deliver(piece)
    assert not gateway.client.reading
    guard.waiting[0].callback(None)
    server = gateway.network.accept()
    for _ in range(8):
        gateway.network.advance(0)
    asked = server.taken()
    assert len(asked.partition(b"\r\n\r\n")[2]) == size
    server.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    assert gateway.client.taken().endswith(b"hi")


def test_who_leaves_while_a_policy_asks_somebody_ends_that() -> None:
    gateway, guard = guarded(waits=True)
    gateway.ask()
    gateway.client.reset()
    assert guard.cancelled == 1
    assert gateway.network.attempts == []


def test_who_is_refused_late_is_told_why() -> None:
    gateway, guard = guarded(waits=True)
    gateway.ask()
    guard.waiting[0].errback(Forbidden())
    assert gateway.client.taken().startswith(b"HTTP/1.1 403 ")


def test_a_policy_that_breaks_is_logged_and_nobody_is_admitted(logged_failures: Any) -> None:
    gateway, guard = guarded(waits=True)
    gateway.ask()
    guard.waiting[0].errback(ZeroDivisionError())
    assert gateway.client.taken().startswith(b"HTTP/1.1 500 ")
    assert logged_failures.flush(ZeroDivisionError)
    assert gateway.network.attempts == []


@pytest.mark.parametrize(("target", "asked"), [(b"/a", b"/"), (b"/a/b?c", b"/b?c"), (b"/%61/b", b"/b")])
def test_the_prefix_is_kept_or_taken_off_as_the_route_says(target: bytes, asked: bytes) -> None:
    gateway = MemoryGateway(RouteOptions(prefix="/a", url="http://10.0.0.1", strip_prefix=True))
    gateway.ask(target)
    assert gateway.answer().startswith(b"GET " + asked + b" HTTP/1.1\r\n")
    kept = MemoryGateway(A)
    kept.ask(target)
    assert kept.answer().startswith(b"GET " + target + b" HTTP/1.1\r\n")
