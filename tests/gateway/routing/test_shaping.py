"""A route's features stand in their order, and each only where it is asked for."""

import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twisted.internet.task import Clock

from scalability.errors import ConfigError
from scalability.gateway.routing.config import RouteOptions
from scalability.gateway.routing.shaping import Shape
from scalability.net.exchange import Exchange
from scalability.testing.api_document import SHOP
from scalability.testing.memory import MemoryNetwork
from scalability.testing.played_application import Client, PlayedApplication


def route(text: str) -> RouteOptions:
    return msgspec.convert(tomllib.loads(text), RouteOptions)


def client_of(options: RouteOptions, servers: PlayedApplication | None, parts: PlayedApplication) -> Client:
    def make(network: MemoryNetwork) -> Any:
        return Shape(options, servers, parts, network).application

    return Client(make)


def test_a_plain_route_costs_nothing() -> None:
    servers = PlayedApplication()
    shape = Shape(route('prefix = "/a"\nurl = "http://127.0.0.1:1"'), servers, PlayedApplication(), Clock())
    assert shape.application is servers


def test_requests_are_checked_before_they_are_changed(tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(SHOP))
    options = route(f"""
        prefix = "/v1"
        url = "http://127.0.0.1:1"
        validate = {{file = "{file}"}}
        rewrite = {{replace_prefix = "/internal", answer = {{set = {{X-By = "${{route}}"}}}}}}
        compression = {{}}
    """)

    def answers(exchange: Exchange) -> None:
        exchange.answer(200, exchange.body * 100)

    servers = PlayedApplication(answers)
    client = client_of(options, servers, PlayedApplication())
    body = b'{"items": [{"sku": "a"}]}'
    answered = client.ask("POST", "/v1/orders", "Content-Type: application/json", "Accept-Encoding: gzip", body=body)
    assert (answered.status, answered.get("content-encoding")) == (200, "gzip")
    assert (servers.last.head.target, servers.last.body) == (b"/internal/orders", body)
    assert client.ask("POST", "/v1/orders", "Content-Type: application/json", body=b"{}").status == 422
    assert len(servers.exchanges) == 1


def test_a_composed_route_asks_for_its_parts() -> None:
    options = route("""
        prefix = "/pages"
        compose = {path = "/pages/{id}", parts = [{name = "user", target = "/users/{id}"}]}
        rewrite = {answer = {set = {X-By = "gateway"}}}
    """)
    parts = PlayedApplication(lambda exchange: exchange.answer(200, b'{"name": "Ann"}'))
    answered = client_of(options, None, parts).ask("GET", "/pages/7")
    assert (answered.body, answered.get("x-by")) == (b'{"name":"Ann"}', "gateway")


def test_fields_of_requests_are_changed_before_the_cache_sees_them() -> None:
    seen: list[bytes | None] = []

    def cache(exchange: Exchange) -> None:
        seen.append(exchange.head.get(b"x-who"))
        exchange.answer(200, b"{}")

    options = route("""
        prefix = "/a"
        url = "http://127.0.0.1:1"
        rewrite = {request = {set = {X-Who = "${client_address}"}}, answer = {set = {X-You = "${client_address}"}}}
    """)
    shape = Shape(options, PlayedApplication(), PlayedApplication(), Clock())
    answered = Client(lambda network: shape.before(PlayedApplication(cache))).ask("GET", "/a", "X-Who: admin")
    assert (seen, answered.get("x-you")) == ([b"192.0.2.1"], "192.0.2.1")
    plain = Shape(route('prefix = "/a"\nurl = "http://127.0.0.1:1"'), PlayedApplication(), PlayedApplication(), Clock())
    behind = PlayedApplication()
    assert plain.before(behind) is behind


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('compose = {path = "/a", parts = [{name = "b", target = "/b"}]}\nurl = "http://127.0.0.1:1"', "no servers of its own"),
        ('url = "http://127.0.0.1:1"\nstrip_prefix = true\nrewrite = {replace_prefix = "/b"}', "exclude each other"),
        ('url = "http://127.0.0.1:1"\nrewrite = {request = {set = {Host = "x"}}}', r"Host: .* - at `\$.rewrite"),
        ("", "needs servers"),
    ],
)
def test_tables_that_contradict_each_other_are_refused(text: str, why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        route('prefix = "/a"\n' + text)


def test_a_document_that_cannot_be_used_is_an_error_of_the_configuration() -> None:
    options = route('prefix = "/a"\nurl = "http://127.0.0.1:1"\nvalidate = {file = "/nothing/here.json"}')
    with pytest.raises(ConfigError, match=r"routes /a validate: /nothing/here.json: cannot be read"):
        Shape(options, PlayedApplication(), PlayedApplication(), Clock())
