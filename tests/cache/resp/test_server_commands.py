"""What tools ask of every server."""

import pytest

from scalability.testing.resp_network import START, RespClient, RespNetwork


@pytest.fixture
def client() -> RespClient:
    network = RespNetwork()
    network.advance(0.25)
    return network.client()


def test_time(client: RespClient) -> None:
    assert client.run("TIME") == b"*2\r\n$10\r\n%d\r\n$6\r\n250000\r\n" % START


def test_role(client: RespClient) -> None:
    assert client.run("ROLE") == b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        ("SLOWLOG GET", b"*0\r\n"),
        ("SLOWLOG GET -1", b"*0\r\n"),
        ("SLOWLOG GET x", b"-ERR count should be greater than or equal to -1\r\n"),
        ("SLOWLOG GET -2", b"-ERR count should be greater than or equal to -1\r\n"),
        ("SLOWLOG GET 1 2", b"-ERR wrong number of arguments for 'slowlog|get' command\r\n"),
        ("SLOWLOG LEN", b":0\r\n"),
        ("SLOWLOG RESET", b"+OK\r\n"),
        ("LATENCY LATEST", b"*0\r\n"),
        ("LATENCY HISTORY x", b"*0\r\n"),
        ("LATENCY RESET a b", b":0\r\n"),
        ("ACL WHOAMI", b"$7\r\ndefault\r\n"),
        ("ACL FOO", b"-ERR unknown subcommand 'FOO'. Try ACL HELP.\r\n"),
        ("MODULE LIST", b"*0\r\n"),
        ("SHUTDOWN NOSAVE", b"-ERR SHUTDOWN is refused: end the server with SIGTERM\r\n"),
    ],
)
def test_answers_that_are_always_the_same(client: RespClient, words: str, reply: bytes) -> None:
    assert client.run(*words.split()) == reply
    assert client.connected
