"""What the proxy does with a request before a server is chosen: names, and whom it believes."""

from ipaddress import ip_network
from typing import Any

from scalability.http1.trace import Identifiers
from scalability.http1.trust import Networks
from scalability.testing.proxying import GET, Proxy, error_of


def identified(**more: Any) -> Proxy:
    return Proxy(identifiers=Identifiers(bytes), **more)  # zeros for random bytes: no trace, but easy to recognise


NAME = b"0" * 32


def test_a_named_request_tells_its_name_to_the_server_and_to_the_client() -> None:
    proxy = identified()
    server = proxy.ask(b"GET /a HTTP/1.1\r\nHost: shop\r\nX-Request-Id: forged\r\n\r\n")
    sent = server.taken()
    assert b"forged" not in sent
    assert b"\r\nX-Request-Id: " + NAME + b"\r\ntraceparent: 00-" + NAME + b"-0000000000000000-01\r\n\r\n" in sent
    server.deliver(b"HTTP/1.1 200 OK\r\nX-Request-Id: its own\r\nContent-Length: 2\r\n\r\nok")
    assert proxy.client.taken() == (
        b"HTTP/1.1 200 OK\r\nVia: 1.1 lb\r\n"
        + b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        + b"Content-Length: 2\r\nX-Request-Id: "
        + NAME
        + b"\r\n\r\nok"
    )


def test_a_failed_request_s_answer_says_its_name_too() -> None:
    proxy = identified(servers=0)
    proxy.client.deliver(GET)
    sent = proxy.client.taken()
    assert error_of(sent) == (503, "no_server")
    assert b"\r\nX-Request-Id: " + NAME + b"\r\n" in sent


def test_a_trusted_proxy_in_front_tells_who_the_client_is() -> None:
    proxy = Proxy(servers=0, trusted=Networks([ip_network("192.0.2.0/24")]))
    proxy.client.deliver(b"GET /a HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 6.6.6.6, 7.7.7.7\r\n\r\n")
    proxy.client.deliver(GET)
    assert proxy.clients == [b"7.7.7.7", b"192.0.2.1"]


def test_nobody_is_believed_unless_named() -> None:
    proxy = Proxy(servers=0)
    proxy.client.deliver(b"GET /a HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 7.7.7.7\r\n\r\n")
    assert proxy.clients == [b""]
