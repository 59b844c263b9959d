"""What is described is handed on as it came; all else is answered before anybody behind hears of it."""

import http.client
import io
import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from scalability.errors import BodyTooLarge, Overloaded, ScalelabError
from scalability.gateway.openapi import application
from scalability.gateway.openapi.application import ValidatingApplication
from scalability.gateway.openapi.bodies import Verdict
from scalability.gateway.openapi.document import Document
from scalability.gateway.openapi.operations import operations
from scalability.gateway.openapi.schemas import SchemaCheck
from scalability.gateway.openapi.validation import Validation
from scalability.lifecycle import DeadlineWheel
from scalability.net.exchange import Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.testing.api_document import SHOP
from scalability.testing.memory import MemoryNetwork, MemoryTransport

GOOD = b'{"items": [{"sku": "a"}]}'


class Echo:
    """Answers with what it was handed."""

    def __init__(self) -> None:
        self.served: list[tuple[bytes, bytes]] = []

    def request_received(self, exchange: Exchange) -> None:
        assert exchange.body_complete or not exchange.head.has_body or exchange.head.method == b"GET"
        self.served.append((exchange.head.method, exchange.body))
        exchange.answer(200, exchange.body)


class Shop:
    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.echo = Echo()
        validation = Validation(operations(Document(SHOP)), b"/v1", max_nesting=16)
        self.application = ValidatingApplication(validation, self.echo, max_body_bytes=1000)
        wheel = DeadlineWheel(self.network)
        wheel.startService()
        self.client = self.network.connect_to(HTTPServerFactory(self.application, clock=self.network, wheel=wheel))

    def ask(self, method: bytes, target: bytes, body: bytes = b"", *fields: bytes) -> tuple[int, Any]:
        lines = [b"Host: a", *fields, *([b"Content-Length: %d" % len(body)] if body else [])]
        self.client.deliver(b"%b %b HTTP/1.1\r\n%b\r\n\r\n%b" % (method, target, b"\r\n".join(lines), body))
        return answered(self.client)


def answered(client: MemoryTransport) -> tuple[int, Any]:
    class Socket:
        def makefile(self, _mode: str) -> io.BytesIO:
            return io.BytesIO(client.taken())

    response = http.client.HTTPResponse(Socket())  # type: ignore[arg-type]
    response.begin()
    body = response.read()
    return response.status, json.loads(body) if body else None


JSON = b"Content-Type: application/json"


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_valid_request_is_handed_on_as_it_came(shop: Shop) -> None:
    assert shop.ask(b"POST", b"/v1/orders", GOOD, JSON) == (200, json.loads(GOOD))
    assert shop.ask(b"GET", b"/v1/orders?limit=3") == (200, None)
    assert shop.echo.served == [(b"POST", GOOD), (b"GET", b"")]
    assert (shop.application.refused, shop.application.held_bytes) == (0, 0)


def test_a_body_may_come_in_pieces_and_in_chunks(shop: Shop) -> None:
    shop.client.deliver(b"POST /v1/orders HTTP/1.1\r\nHost: a\r\n%b\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n" % JSON)
    assert shop.client.taken() == b"HTTP/1.1 100 Continue\r\n\r\n"
    for octet in GOOD:
        shop.client.deliver(b"1\r\n%c\r\n" % octet)
    assert shop.application.held_bytes == len(GOOD)
    assert shop.echo.served == []
    shop.client.deliver(b"0\r\n\r\n")
    assert answered(shop.client) == (200, json.loads(GOOD))
    assert shop.application.held_bytes == 0


def test_mistakes_are_answered_with_their_places(shop: Shop) -> None:
    assert shop.ask(b"POST", b"/v1/orders", b'{"items": [{"sku": 1}]}', JSON) == (
        422,
        {
            "error": "invalid_body",
            "message": "The body is not valid.",
            "errors": [{"in": "body", "name": "", "pointer": "/items/0/sku", "message": 'the value is not of type "string"'}],
        },
    )
    assert shop.ask(b"GET", b"/v1/orders?limit=0")[0] == 400
    assert shop.ask(b"POST", b"/v1/orders", b"x", b"Content-Type: text/xml")[0] == 415
    assert shop.ask(b"GET", b"/v1/none") == (404, {"error": "not_found", "message": "The description of this API has no such path."})
    assert shop.ask(b"PATCH", b"/v1/orders")[0] == 405
    assert shop.echo.served == []
    assert shop.application.refused == 5
    assert shop.client.open


def test_a_body_above_the_limit_is_413_stated_or_not(shop: Shop) -> None:
    assert shop.ask(b"POST", b"/v1/orders", b"x" * 1001, JSON)[0] == 413
    other = Shop()
    other.client.deliver(b"POST /v1/orders HTTP/1.1\r\nHost: a\r\n%b\r\nTransfer-Encoding: chunked\r\n\r\n" % JSON)
    other.client.deliver(b"3e9\r\n" + b"x" * 1001 + b"\r\n")
    assert answered(other.client)[0] == 413
    assert (other.application.held_bytes, other.echo.served) == (0, [])


def test_all_bodies_together_have_a_limit(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "MAX_HELD_BYTES", 10)
    shop.client.deliver(b"POST /v1/orders HTTP/1.1\r\nHost: a\r\n%b\r\nContent-Length: 100\r\n\r\n" % JSON + b"x" * 11)
    assert answered(shop.client)[0] == 503
    assert shop.application.held_bytes == 0


def test_a_client_that_leaves_frees_what_was_held(shop: Shop) -> None:
    shop.client.deliver(b"POST /v1/orders HTTP/1.1\r\nHost: a\r\n%b\r\nContent-Length: 100\r\n\r\n" % JSON + b"x" * 11)
    assert shop.application.held_bytes == 11
    shop.client.reset()
    assert shop.application.held_bytes == 0
    assert shop.echo.served == []


def test_errors_of_the_application_behind_are_its_own(shop: Shop) -> None:
    def fail(exchange: Exchange) -> None:
        exchange.fail(ScalelabError())

    shop.echo.request_received = fail  # type: ignore[method-assign]
    assert shop.ask(b"GET", b"/v1/orders")[0] == 500
    assert shop.application.refused == 0


class Elsewhere:
    """Checkers of which the test is the processes."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.verdicts: list[Deferred[Verdict]] = []
        self.cancelled = 0

    def check(self, check: SchemaCheck, body: bytes, max_nesting: int) -> Deferred[Verdict]:
        def cancel(_: Deferred[Verdict]) -> None:
            self.cancelled += 1

        self.asked.append((check.at, body))
        self.verdicts.append(Deferred(cancel))
        return self.verdicts[-1]


LARGE = json.dumps({"items": [{"sku": "a" * 50}] * 400}).encode()


class TestLarge:
    @pytest.fixture(autouse=True)
    def _large(self) -> None:
        self.shop = Shop()
        self.elsewhere = Elsewhere()
        validation = Validation(operations(Document(SHOP)), b"/v1", max_nesting=16)
        checkers: Any = self.elsewhere
        self.application = ValidatingApplication(validation, self.shop.echo, max_body_bytes=100_000, checkers=checkers)
        wheel = DeadlineWheel(self.shop.network)
        wheel.startService()
        self.shop.client = self.shop.network.connect_to(HTTPServerFactory(self.application, clock=self.shop.network, wheel=wheel))

    def send(self) -> None:
        self.shop.client.deliver(b"POST /v1/orders HTTP/1.1\r\nHost: a\r\n%b\r\nContent-Length: %d\r\n\r\n%b" % (JSON, len(LARGE), LARGE))

    def test_a_large_body_is_read_by_another_process_and_handed_on(self) -> None:
        self.send()
        assert self.elsewhere.asked == [("/paths/~1orders/post/requestBody/content/application~1json/schema", LARGE)]
        assert self.shop.echo.served == []
        assert self.application.held_bytes == len(LARGE)
        self.elsewhere.verdicts[0].callback(Verdict("", []))
        assert answered(self.shop.client) == (200, json.loads(LARGE))
        assert self.application.held_bytes == 0

    @pytest.mark.parametrize(
        ("outcome", "status"),
        [
            (Verdict("it is not", []), 400),
            (Verdict("", [("/items/3", "is wrong")]), 422),
            (BodyTooLarge("The body takes too long to check."), 413),
            (Overloaded("too many"), 503),
        ],
    )
    def test_what_it_says_is_what_the_client_is_told(self, outcome: Any, status: int) -> None:
        self.send()
        verdict = self.elsewhere.verdicts[0]
        if isinstance(outcome, Verdict):
            verdict.callback(outcome)
        else:
            verdict.errback(outcome)
        got, told = answered(self.shop.client)
        assert got == status
        if status == 422:
            assert told["errors"] == [{"in": "body", "name": "", "pointer": "/items/3", "message": "is wrong"}]
        assert (self.shop.echo.served, self.application.refused, self.application.held_bytes) == ([], 1, 0)

    def test_a_client_that_leaves_takes_its_body_out_of_the_line(self) -> None:
        self.send()
        self.shop.client.reset()
        assert self.elsewhere.cancelled == 1
        assert (self.shop.echo.served, self.application.held_bytes) == ([], 0)

    def test_small_bodies_are_checked_here(self) -> None:
        assert self.shop.ask(b"POST", b"/v1/orders", GOOD, JSON) == (200, json.loads(GOOD))
        assert self.elsewhere.asked == []

    def test_what_is_being_checked_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(application, "MAX_HELD_BYTES", len(LARGE) + 10)
        self.send()
        first, self.shop.client = self.shop.client, self.shop.network.connect_to(self.shop.client.protocol.factory)
        self.send()
        assert answered(self.shop.client)[0] == 503
        self.elsewhere.verdicts[0].callback(Verdict("", []))
        assert answered(first)[0] == 200

    def test_a_mistake_of_ours_is_a_500_and_in_the_log(self, logged_failures: Any) -> None:
        self.send()
        self.elsewhere.verdicts[0].errback(ZeroDivisionError())
        assert answered(self.shop.client)[0] == 500
        assert logged_failures.flush(ZeroDivisionError)
