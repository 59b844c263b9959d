"""The RESP server in memory."""

from scalability.testing.resp_network import START, RespNetwork


def test_clients_share_the_entries_and_the_clock() -> None:
    network = RespNetwork()
    one, other = network.client(), network.client(resp3=True)
    assert one.run("SET", "a", "1", "EX", 10) == b"+OK\r\n"
    assert other.run("GET", "a") == b"$1\r\n1\r\n"
    assert other.run("GET", "b") == b"_\r\n"
    network.advance(9)
    assert one.run("TIME") == b"*2\r\n$10\r\n%d\r\n$1\r\n0\r\n" % (START + 9)
    network.advance(1)
    assert len(network.cache) == 1
    network.expire()
    assert len(network.cache) == 0


def test_clients_leave() -> None:
    network = RespNetwork()
    client = network.client()
    assert client.connected
    client.leave()
    assert not client.connected
    assert not network.state.sessions
