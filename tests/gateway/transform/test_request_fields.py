"""What a cache sees of a request, and what it does not see of an answer."""

from ipaddress import ip_network
from typing import Any

import msgspec

from scalability.gateway.exchange import GatewayExchange
from scalability.gateway.transform.config import RewriteOptions
from scalability.gateway.transform.request_fields import FieldsApplication
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.trust import NOBODY, Networks
from scalability.net.exchange import Exchange
from scalability.testing.played_application import Client, PlayedApplication


class Route:
    def __init__(self, rewrite: Any, consumer: bytes = b"", trusted: Networks = NOBODY) -> None:
        self.played = PlayedApplication(lambda exchange: exchange.answer(200, b"{}"))
        options = msgspec.convert(rewrite, RewriteOptions)
        fields = FieldsApplication(self.played, options, prefix="/api", limits=DEFAULT_LIMITS, trusted=trusted)

        class Policy:
            def request_received(self, exchange: Exchange) -> None:
                assert isinstance(exchange, GatewayExchange)
                exchange.consumer = consumer
                fields.request_received(exchange)

        self.ask = Client(lambda network: Policy()).ask


def test_fields_of_requests_are_changed() -> None:
    route = Route({"request": {"remove": ["X-Debug"], "set": {"X-Path": "${path} by ${method}", "X-Who": "${consumer}"}}})
    assert route.ask("GET", "/api/x?y", "X-Debug: 1", "X-Who: admin", "X-Keep: 1").status == 200
    assert route.played.last.head.fields == ((b"Host", b"gateway.example"), (b"X-Keep", b"1"), (b"X-Path", b"/api/x by GET"))


def test_the_consumer_that_a_policy_found_is_told_and_can_smuggle_nothing() -> None:
    route = Route({"request": {"set": {"X-Who": "${consumer} at ${route}"}}}, consumer=b"ann\r\nX-Evil: 1")
    route.ask("GET", "/api/x")
    assert route.played.last.head.get(b"x-who") == b"ann%0D%0AX-Evil:%201 at /api"
    assert route.played.last.head.get(b"x-evil") is None


def test_what_is_each_clients_own_is_added_to_whatever_is_answered() -> None:
    route = Route({"answer": {"set": {"X-Who": "${consumer}", "X-Shared": "${path}"}}}, consumer=b"ann")
    answered = route.ask("GET", "/api")
    assert (answered.get("x-who"), answered.get("x-shared")) == ("ann", None)
    assert not FieldsApplication.needed(msgspec.convert({"answer": {"set": {"X-Shared": "${path}"}}}, RewriteOptions))
    assert not FieldsApplication.needed(None)


def test_the_clients_address_is_what_a_trusted_proxy_says_and_nobody_else() -> None:
    rules = {"request": {"set": {"X-Client": "${client_address}"}}}
    for trusted, seen in ((NOBODY, b"192.0.2.1"), (Networks([ip_network("192.0.2.0/24")]), b"198.51.100.7")):
        route = Route(rules, trusted=trusted)
        route.ask("GET", "/api", "X-Forwarded-For: 203.0.113.1, 198.51.100.7")
        assert route.played.last.head.get(b"x-client") == seen


def test_a_body_stays_what_it_is() -> None:
    route = Route({"request": {"set": {"X-A": "1"}}})
    assert route.ask("POST", "/api", body=b"abc").status == 200
    assert (route.played.last.body, route.played.last.head.content_length) == (b"abc", 3)


def test_a_head_that_becomes_too_large_is_refused() -> None:
    route = Route({"request": {"add": {f"X-{n}": "x" * 4096 for n in range(20)}}})
    assert route.ask("GET", "/api").status == 431
