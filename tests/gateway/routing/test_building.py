"""From options to routes."""

import pytest

from scalability.errors import ConfigError
from scalability.gateway.routing.config import RouteOptions
from scalability.testing.gateway_routes import MemoryGateway


def test_a_file_of_servers_that_is_missing_is_named_with_its_route() -> None:
    with pytest.raises(ConfigError, match=r"\[gateway\] routes /a: .*/nowhere/x"):
        MemoryGateway(RouteOptions(prefix="/a", servers=("file:/nowhere/x",)))


def test_a_loop_through_the_gateway_is_refused() -> None:
    gateway = MemoryGateway(RouteOptions(prefix="/a", url="http://10.0.0.1"))
    gateway.ask()
    via = next(line for line in gateway.answer().split(b"\r\n") if line.startswith(b"Via: "))
    gateway.client.taken()
    gateway.ask(fields=via + b"\r\n")
    assert gateway.client.taken().startswith(b"HTTP/1.1 508 ")


@pytest.mark.parametrize("status", [200, 204, 304, 404, 500, 599, 600, 999])
def test_any_method_and_any_status_pass(status: int) -> None:
    gateway = MemoryGateway(RouteOptions(prefix="/a", url="http://10.0.0.1"))
    for method in (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"PURGE", b"x-odd"):
        gateway.client = gateway.connect()
        gateway.ask(method=method)
        length = b"" if status in (204, 304) or method == b"HEAD" else b"Content-Length: 0\r\n"
        assert gateway.answer(b"HTTP/1.1 %d Odd\r\n%bConnection: close\r\n\r\n" % (status, length)).startswith(method + b" /a ")
        assert gateway.client.taken().startswith(b"HTTP/1.1 %d Odd\r\n" % status)


def test_interim_answers_pass() -> None:
    gateway = MemoryGateway(RouteOptions(prefix="/a", url="http://10.0.0.1"))
    gateway.ask()
    gateway.answer(
        b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    )
    sent = gateway.client.taken()
    assert [part[:3] for part in sent.split(b"HTTP/1.1 ")[1:]] == [b"103", b"102", b"200"]
    assert b"Link: <x>\r\n" in sent


def test_a_client_that_waits_to_be_told_is_told_by_the_server() -> None:
    gateway = MemoryGateway(RouteOptions(prefix="/a", url="http://10.0.0.1"))
    gateway.ask(method=b"POST", fields=b"Content-Length: 4\r\nExpect: 100-continue\r\n")
    server = gateway.network.accept()
    assert b"\r\nExpect: 100-continue\r\n" in server.taken()
    server.deliver(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert gateway.client.taken().startswith(b"HTTP/1.1 100 Continue\r\n")
    gateway.client.deliver(b"body")
    assert server.taken() == b"body"


def test_a_websocket_becomes_a_tunnel() -> None:
    gateway = MemoryGateway(RouteOptions(prefix="/a", url="http://10.0.0.1"))
    gateway.ask(fields=b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
    server = gateway.network.accept()
    server.deliver(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfrom")
    assert gateway.client.taken().endswith(b"\r\n\r\nfrom")
    server.taken()
    gateway.client.deliver(b"to")
    assert server.taken() == b"to"


def test_bodies_are_streamed_and_a_slow_reader_holds_the_server_back() -> None:
    gateway = MemoryGateway(RouteOptions(prefix="/a", url="http://10.0.0.1"))
    gateway.ask()
    server = gateway.network.accept()
    server.deliver(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n")
    assert gateway.client.taken().endswith(b"2\r\nhi\r\n")
    gateway.client.stop_taking()
    server.deliver(b"20000\r\n" + b"x" * 0x20000 + b"\r\n")
    assert not server.reading
    gateway.client.take_all()
    gateway.network.advance(0)
    assert server.reading
    server.deliver(b"0\r\nX-Sum: 1\r\n\r\n")
    assert gateway.client.taken().endswith(b"0\r\nX-Sum: 1\r\n\r\n")


def test_a_server_that_breaks_off_breaks_the_clients_answer() -> None:
    gateway = MemoryGateway(RouteOptions(prefix="/a", url="http://10.0.0.1"))
    gateway.ask()
    server = gateway.network.accept()
    server.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi")
    server.reset()
    assert gateway.client.ended == "reset"
