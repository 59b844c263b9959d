"""The gateway's admin calls."""

import json

from scalability.api.mount import mount
from scalability.gateway.admin import admin_calls
from scalability.gateway.routing.config import RouteOptions
from scalability.testing.gateway_routes import MemoryGateway


def test_it_is_told_how_each_server_of_each_route_stands() -> None:
    gateway = MemoryGateway(RouteOptions(prefix="/a", servers=("10.0.0.1:80,weight=2", "10.0.0.2:80")))
    gateway.ask()
    gateway.answer()
    client = gateway.network.connect_to(mount(admin_calls(gateway.routes.upstreams), reactor=gateway.network))
    client.deliver(b"GET /routes HTTP/1.1\r\nHost: x\r\n\r\n")
    (route,) = json.loads(client.taken().partition(b"\r\n\r\n")[2])["routes"]
    assert route["prefix"] == "/a"
    assert [(server["name"], server["weight"], server["requests"]) for server in route["servers"]] == [
        ("10.0.0.1:80", 2, 1),
        ("10.0.0.2:80", 1, 0),
    ]
