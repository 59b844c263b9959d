"""The balancer's own /health: never forwarded, whatever stands behind it; all else is forwarded."""

import json
from typing import Any

import pytest

from scalability.balancer.front import Front, describe
from scalability.lifecycle import DeadlineWheel
from scalability.net.exchange import Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.testing.memory import MemoryNetwork
from scalability.testing.upstreams import fake_pool
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec


class Forwarded:
    """The proxy's place: remembers what is not answered in front of it, and answers 299."""

    def __init__(self, front: Front) -> None:
        self.targets: list[bytes] = []
        self._front = front

    def request_received(self, exchange: Exchange) -> None:
        if self._front.answers(exchange):
            return
        self.targets.append(exchange.head.target)
        exchange.answer(299, b"{}")


class Asked:
    def __init__(self, *servers: str) -> None:
        self.upstream = Upstream(RoundRobin, fake_pool)
        self.upstream.name_servers("configuration", [ServerSpec.parse(text) for text in servers], trusted=True)
        self.proxy = Forwarded(Front(self.upstream))
        network = MemoryNetwork()
        factory = HTTPServerFactory(self.proxy, clock=network, wheel=DeadlineWheel(network))
        self.client = network.connect_to(factory)

    def ask(self, line: str, rest: bytes = b"\r\n") -> tuple[int, bytes]:
        self.client.deliver(f"{line} HTTP/1.1\r\nHost: x\r\n".encode() + rest)
        head, _, body = self.client.taken().partition(b"\r\n\r\n")
        return int(head.split()[1]), body


def test_health_is_ok_and_lists_every_server() -> None:
    asked = Asked("127.0.0.1:1001", "127.0.0.1:1002,weight=2")
    status, body = asked.ask("GET /health")
    answer = json.loads(body)
    assert status == 200
    assert answer["status"] == "ok"
    assert [(server["name"], server["state"], server["weight"]) for server in answer["servers"]] == [
        ("127.0.0.1:1001", "unchecked", 1),
        ("127.0.0.1:1002", "unchecked", 2),
    ]
    assert asked.proxy.targets == []


def test_health_is_ok_without_any_server() -> None:
    assert Asked().ask("GET /health") == (200, b'{"status":"ok","servers":[]}')


def test_health_is_ok_when_every_server_is_down() -> None:
    asked = Asked("127.0.0.1:1001")
    for server in asked.upstream:
        asked.upstream.judge(server, False, "refused")
    status, body = asked.ask("GET /health")
    assert (status, json.loads(body)["servers"][0]["state"]) == (200, "waiting")


def test_head_has_no_body_and_a_query_changes_nothing() -> None:
    asked = Asked()
    assert asked.ask("HEAD /health") == (200, b"")
    assert asked.ask("GET /health?x=1")[0] == 200
    assert asked.proxy.targets == []


def test_a_request_body_on_health_is_answered_and_ends_the_connection() -> None:
    asked = Asked()
    status, _ = asked.ask("GET /health", b"Content-Length: 100\r\n\r\nfirst")
    assert status == 200
    assert asked.client.half_closed or asked.client.ended


@pytest.mark.parametrize("line", ["POST /health", "PUT /health", "GET /healthy", "GET /health/", "GET /", "OPTIONS *"])
def test_everything_else_is_forwarded(line: str) -> None:
    asked = Asked()
    assert asked.ask(line)[0] == 299
    assert asked.proxy.targets == [line.split()[1].encode()]


@pytest.mark.parametrize(
    "target", ["/%68ealth", "/health%3fx", "//health", "/./health", "/health;x", "/HEALTH", "http://x/%68ealth", "/health%2f"]
)
def test_rule_34_what_is_decided_by_is_what_is_forwarded(target: str) -> None:
    """Nobody's spelling of /health but the exact one is answered here, and every other passes as it was sent."""
    asked = Asked()
    assert asked.ask(f"GET {target}")[0] == 299
    assert asked.proxy.targets == [target.removeprefix("http://x").encode()]
    assert asked.ask("GET http://x/health")[0] == 200, "the origin form decides, which a server would get"


def test_a_server_that_finishes_its_last_requests_is_shown_as_leaving() -> None:
    asked = Asked("127.0.0.1:1001")
    (server,) = asked.upstream
    server.started()
    asked.upstream.name_servers("configuration", [], trusted=True)
    described: dict[str, Any] = describe(server)
    assert (described["state"], described["active"], described["requests"]) == ("leaving", 1, 1)
    assert json.loads(asked.ask("GET /health")[1])["servers"] == [described]
