"""The proxy in memory itself."""

from scalability.testing.proxying import GET, OK, Proxy, body_of, error_of


def test_a_request_reaches_a_server_and_its_answer_the_client() -> None:
    proxy = Proxy()
    server = proxy.ask()
    assert server.taken().startswith(GET[:14])
    server.deliver(OK)
    assert body_of(proxy.client.taken()) == b"hi"
    assert proxy.settled()
    assert proxy.ended == [(200, "10.0.0.1:80", "")]


def test_without_servers_the_answer_is_an_error() -> None:
    proxy = Proxy(servers=0)
    proxy.client.deliver(GET)
    assert error_of(proxy.client.taken()) == (503, "no_server")
