"""The routes that tests ask."""

from scalability.gateway.routing.config import RouteOptions
from scalability.testing.gateway_routes import MemoryGateway


def test_a_test_is_the_client_and_the_server() -> None:
    gateway = MemoryGateway(RouteOptions(prefix="/a", url="http://10.0.0.1"))
    gateway.ask()
    assert gateway.answer().startswith(b"GET /a HTTP/1.1\r\n")
    assert gateway.client.taken().endswith(b"\r\n\r\nhi")
    gateway.ask(b"/data")
    assert gateway.client.taken().endswith(b"\r\n\r\nown")
