"""RFC 9211 on a route with a cache: what is answered in front of it says so, too, and once."""

import json
from pathlib import Path
from typing import Any

import pytest

from scalability.gateway.access.config import CorsOptions, JWTOptions
from scalability.gateway.http_cache.config import CacheOptions
from scalability.gateway.openapi.config import ValidateOptions
from scalability.gateway.rate_limits.config import LimitOptions, RateLimitOptions
from scalability.gateway.routing.config import RouteOptions
from scalability.testing.api_document import SHOP
from scalability.testing.gateway_routes import MemoryGateway
from scalability.testing.memory import MemoryTransport

FEW = RateLimitOptions(limits=(LimitOptions(requests=1, window_s=1000, burst=1),))
PAGES = CorsOptions(origins=("https://app.example",))
PAGE = b"Origin: https://app.example\r\n"


def gateway(**options: Any) -> MemoryGateway:
    return MemoryGateway(RouteOptions(prefix="/a", url="http://10.0.0.1", **options))


def status_of(client: MemoryTransport, status: int) -> bytes:
    """The value of Cache-Status in an answer with ``status``, which has one."""
    head = client.taken().partition(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 %d " % status), head
    (found,) = [line for line in head.split(b"\r\n") if line.lower().startswith(b"cache-status:")]
    return found.partition(b": ")[2]


@pytest.fixture
def asks_who(tmp_path: Path) -> JWTOptions:
    file = tmp_path / "secret"
    file.write_text("0123456789abcdef0123456789abcdef")
    return JWTOptions(secret_file=str(file))


def test_a_stranger_is_told_that_the_cache_was_not_asked(asks_who: JWTOptions) -> None:
    route = gateway(jwt=asks_who)
    route.ask()
    assert status_of(route.client, 401) == b"scalelab; detail=unauthorized"


def test_so_is_who_asks_too_often() -> None:
    route = gateway(rate_limit=FEW)
    route.ask()
    route.answer()
    assert status_of(route.client, 200).startswith(b"scalelab; fwd=uri-miss")
    route.ask()
    assert status_of(route.client, 429) == b"scalelab; detail=too_many_requests"


def test_so_is_who_sends_too_much_before_and_after_the_server_was_asked() -> None:
    route = gateway(max_body=10)
    route.ask(method=b"POST", fields=b"Content-Length: 11\r\n")
    assert status_of(route.client, 413) == b"scalelab; detail=body_too_large"
    route = gateway(max_body=10, cors=PAGES)
    route.ask(method=b"POST", fields=PAGE + b"Transfer-Encoding: chunked\r\n", body=b"5\r\nhello\r\n")
    route.network.accept()
    route.client.deliver(b"6\r\n world\r\n")
    said = route.client.taken()
    assert said.startswith(b"HTTP/1.1 413 ")
    assert said.count(b"\r\nCache-Status: scalelab; fwd=method; detail=body_too_large\r\n") == 1
    # and the page may read what is wrong
    assert b"\r\nAccess-Control-Allow-Origin: https://app.example\r\n" in said


def test_a_preflight_too() -> None:
    route = gateway(cors=PAGES)
    route.ask(method=b"OPTIONS", fields=PAGE + b"Access-Control-Request-Method: PUT\r\n")
    assert status_of(route.client, 204) == b"scalelab; detail=not-asked"


def test_what_is_refused_behind_the_cache_says_why_it_went_there(tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(SHOP))
    route = gateway(validate=ValidateOptions(file=str(file), base="/a"))
    route.ask(b"/a/no/such")
    assert status_of(route.client, 404).startswith(b"scalelab; fwd=uri-miss")
    route.client = route.connect()
    route.ask(b"/a/no/such", method=b"POST")
    assert status_of(route.client, 404).startswith(b"scalelab; fwd=method")


def test_what_no_server_answers_says_it_once() -> None:
    route = gateway()
    route.ask()
    for _ in range(3):
        if route.network.attempts:
            route.network.refuse()
        route.network.advance(0.5)
    assert status_of(route.client, 502).startswith(b"scalelab; fwd=uri-miss; detail=connect_failed")


def test_a_route_without_a_cache_says_nothing_of_one(asks_who: JWTOptions) -> None:
    route = gateway(jwt=asks_who, cache=CacheOptions(enabled=False))
    route.ask()
    said = route.client.taken()
    assert said.startswith(b"HTTP/1.1 401 ")
    assert b"Cache-Status" not in said
