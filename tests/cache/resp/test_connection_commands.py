"""Handshake, password, and the small commands of a connection."""

import hmac

import pytest

from scalability.cache.resp.connection_commands import REDIS_VERSION
from scalability.testing.resp_network import RespClient, RespNetwork

OK = b"+OK\r\n"
NOAUTH = b"-NOAUTH Authentication required.\r\n"
WRONG = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"


@pytest.fixture
def client() -> RespClient:
    return RespNetwork().client()


@pytest.fixture
def guarded() -> RespClient:
    return RespNetwork(right_password=lambda given: hmac.compare_digest(given, b"secret")).client()


def hello(number: int, version: int) -> bytes:
    head = b"%7\r\n" if version == 3 else b"*14\r\n"
    return head + (
        b"$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n%b\r\n$5\r\nproto\r\n:%d\r\n$2\r\nid\r\n:%d\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n"
        b"$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n" % (REDIS_VERSION, version, number)
    )


def test_hello_changes_the_version_of_the_protocol(client: RespClient) -> None:
    number = client.session.id
    assert client.run("HELLO") == hello(number, 2)
    assert client.run("HELLO", 3) == hello(number, 3)
    assert client.run("GET", "a") == b"_\r\n"
    assert client.run("HELLO") == hello(number, 3)
    assert client.run("HELLO", 2) == hello(number, 2)
    assert client.run("GET", "a") == b"$-1\r\n"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("4",), b"NOPROTO unsupported protocol version"),
        (("1",), b"NOPROTO unsupported protocol version"),
        (("three",), b"ERR Protocol version is not an integer or out of range"),
        (("3", "SETNAME"), b"ERR Syntax error in HELLO option 'SETNAME'"),
        (("3", "AUTH", "default"), b"ERR Syntax error in HELLO option 'AUTH'"),
        (("3", "FOO", "bar"), b"ERR Syntax error in HELLO option 'FOO'"),
        (("3", "SETNAME", "a b"), b"ERR Client names cannot contain spaces, newlines or special characters."),
        (("3", "SETNAME", "x", "AUTH", "somebody", "secret"), WRONG[1:-2]),
    ],
)
def test_a_hello_that_is_wrong_changes_nothing(client: RespClient, words: tuple[str, ...], error: bytes) -> None:
    assert client.run("HELLO", *words) == b"-%b\r\n" % error
    assert (client.session.resp3, client.session.name) == (False, b"")


def test_hello_names_and_authenticates(guarded: RespClient) -> None:
    assert guarded.run("GET", "a") == NOAUTH
    assert guarded.run("HELLO", 3).startswith(b"-NOAUTH HELLO must be called with the client already authenticated")
    assert guarded.run("HELLO", 3, "AUTH", "default", "wrong") == WRONG
    assert not guarded.session.resp3
    assert guarded.run("HELLO", 3, "SETNAME", "me", "AUTH", "default", "secret").startswith(b"%7\r\n")
    assert guarded.session.name == b"me"
    assert guarded.run("GET", "a") == b"_\r\n"


def test_auth_lets_in(guarded: RespClient) -> None:
    assert guarded.run("AUTH", "wrong") == WRONG
    assert guarded.run("AUTH", "somebody", "secret") == WRONG
    assert guarded.run("AUTH", "a", "b", "c") == b"-ERR syntax error\r\n"
    assert guarded.run("PING") == NOAUTH
    assert guarded.run("MULTI") == NOAUTH
    assert guarded.run("AUTH", "secret") == OK
    assert guarded.run("PING") == b"+PONG\r\n"
    assert guarded.run("AUTH", "default", "secret") == OK
    assert guarded.run("AUTH", "wrong") == WRONG
    assert guarded.run("PING") == b"+PONG\r\n", "who is in stays in"


def test_auth_where_no_password_is_asked_for(client: RespClient) -> None:
    assert client.run("AUTH", "secret").startswith(b"-ERR AUTH <password> called without any password configured")
    assert client.run("AUTH", "default", "anything") == OK
    assert client.run("AUTH", "somebody", "anything") == WRONG


def test_ping_and_echo(client: RespClient) -> None:
    assert client.run("PING") == b"+PONG\r\n"
    assert client.run("PING", b"\r\n") == b"$2\r\n\r\n\r\n"
    assert client.run("PING", "a", "b") == b"-ERR wrong number of arguments for 'ping' command\r\n"
    assert client.run("ECHO", "") == b"$0\r\n\r\n"


def test_there_is_one_database(client: RespClient) -> None:
    assert client.run("SELECT", 0) == OK
    assert client.run("SELECT", 1) == b"-ERR DB index is out of range\r\n"
    assert client.run("SELECT", "x") == b"-ERR value is not an integer or out of range\r\n"
    assert client.run("SELECT", 1 << 31).startswith(b"-ERR value is out of range")


@pytest.mark.parametrize("before", [(), ("MULTI",)])
def test_quit_closes_after_its_reply(client: RespClient, before: tuple[str, ...]) -> None:
    if before:
        client.run(*before)
    assert client.send(b"PING\r\nQUIT\r\nPING\r\n") in (b"+PONG\r\n+OK\r\n", b"+QUEUED\r\n+OK\r\n")
    assert not client.connected


def test_quit_needs_no_password(guarded: RespClient) -> None:
    assert guarded.run("QUIT") == OK
    assert not guarded.connected


def test_reset_makes_the_connection_as_new(guarded: RespClient) -> None:
    guarded.run("HELLO", 3, "AUTH", "default", "secret", "SETNAME", "me")
    guarded.run("CLIENT", "TRACKING", "ON")
    guarded.run("WATCH", "a")
    guarded.run("MULTI")
    assert guarded.run("RESET") == b"+RESET\r\n"
    assert guarded.run("GET", "a") == NOAUTH
    guarded.run("AUTH", "secret")
    session = guarded.session
    assert (session.name, session.resp3, session.queued, session.watch, session.tracking) == (b"", False, None, None, None)
    assert session.plain
    assert not session.entries.observers
