"""What is described is handed on as it came; all else is answered before anybody behind hears of it."""

import http.client
import io
import json
from typing import Any

import pytest

from scalability.errors import ScalelabError
from scalability.gateway.openapi import application
from scalability.gateway.openapi.application import ValidatingApplication
from scalability.gateway.openapi.document import Document
from scalability.gateway.openapi.operations import operations
from scalability.gateway.openapi.validation import Validation
from scalability.lifecycle import DeadlineWheel
from scalability.net.http_server import Exchange, HTTPServerFactory
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
