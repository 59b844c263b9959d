"""CLIENT: who is there."""

import pytest

from scalability.testing.resp_network import RespClient, RespNetwork

OK = b"+OK\r\n"


@pytest.fixture
def network() -> RespNetwork:
    return RespNetwork()


@pytest.fixture
def client(network: RespNetwork) -> RespClient:
    return network.client()


def fields(line: bytes) -> dict[str, str]:
    return dict(part.split("=", 1) for part in line.decode().split())


def lines(reply: bytes) -> list[dict[str, str]]:
    return [fields(line) for line in reply.split(b"\r\n", 1)[1].strip().splitlines()]


def test_ids_are_never_given_twice(network: RespNetwork, client: RespClient) -> None:
    assert client.run("CLIENT", "ID") == b":%d\r\n" % client.session.id
    client.leave()
    assert network.client().session.id == client.session.id + 1


def test_names(client: RespClient) -> None:
    assert client.run("CLIENT", "GETNAME") == b"$-1\r\n"
    assert client.run("CLIENT", "SETNAME", "me") == OK
    assert client.run("CLIENT", "GETNAME") == b"$2\r\nme\r\n"
    for wrong in (b"a b", b"a\n", b"\xc3\xa4", b"\0"):
        assert client.run("CLIENT", "SETNAME", wrong) == b"-ERR Client names cannot contain spaces, newlines or special characters.\r\n"
    assert client.run("CLIENT", "SETNAME", "x" * 1025) == b"-ERR Client names cannot be longer than 1024 bytes.\r\n"
    assert client.run("CLIENT", "SETNAME", "") == OK
    assert client.run("CLIENT", "GETNAME") == b"$-1\r\n"


def test_libraries_tell_their_names(client: RespClient) -> None:
    assert client.run("CLIENT", "SETINFO", "LIB-NAME", "redis-py") == OK
    assert client.run("CLIENT", "SETINFO", "lib-ver", "8.1.0") == OK
    assert client.run("CLIENT", "SETINFO", "lib-age", "8") == b"-ERR Unrecognized option 'lib-age'\r\n"
    assert client.run("CLIENT", "SETINFO", "lib-ver", "8 1").startswith(b"-ERR lib-ver cannot contain spaces")
    assert b" lib-name=redis-py lib-ver=8.1.0\n" in client.run("CLIENT", "INFO")


def test_info_tells_of_the_client(network: RespNetwork) -> None:
    client = network.client(resp3=True)
    client.run("CLIENT", "SETNAME", "me")
    client.run("CLIENT", "TRACKING", "ON", "BCAST")
    client.run("WATCH", "a")
    network.advance(7.5)
    reply = client.run("CLIENT", "INFO")
    assert reply.startswith(b"=%d\r\ntxt:id=" % (len(reply.split(b"\r\n", 1)[1]) - 2))
    told = fields(reply.split(b"txt:")[1])
    assert told["name"] == "me"
    assert told["age"] == "7"
    assert told["addr"] == client.session.address
    assert told["flags"] == "tB"
    assert (told["watch"], told["multi"], told["resp"], told["redir"]) == ("1", "-1", "3", "0")
    assert told["cmd"] == "watch"
    numbers = ("id", "age", "idle", "db", "sub", "psub", "multi", "qbuf", "qbuf-free", "obl", "argv-mem", "oll", "omem", "tot-mem")
    assert all(isinstance(int(told[name]), int) for name in numbers), "without these valkey-py 6 fails"


def test_a_transaction_shows_in_the_list(network: RespNetwork, client: RespClient) -> None:
    other = network.client()
    other.run("WATCH", "a")
    other.run("MULTI")
    other.run("PING")
    client.run("SET", "a", "1")
    told = lines(client.run("CLIENT", "LIST", "ID", other.session.id))
    assert [(one["multi"], one["flags"]) for one in told] == [("1", "xd")]
    assert int(told[0]["multi-mem"]) == network.state.queued.bytes > 0


def test_list_tells_of_all_or_of_some(network: RespNetwork, client: RespClient) -> None:
    others = [network.client() for _ in range(3)]
    ids = [str(one.session.id) for one in (client, *others)]
    assert [one["id"] for one in lines(client.run("CLIENT", "LIST"))] == ids
    assert [one["id"] for one in lines(client.run("CLIENT", "LIST", "TYPE", "normal"))] == ids
    assert client.run("CLIENT", "LIST", "TYPE", "pubsub") == b"$0\r\n\r\n"
    assert [one["id"] for one in lines(client.run("CLIENT", "LIST", "ID", ids[2], 999, ids[1]))] == ids[1:3]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("LIST", "TYPE", "foo"), b"ERR Unknown client type 'foo'"),
        (("LIST", "FOO"), b"ERR syntax error"),
        (("LIST", "ID"), b"ERR syntax error"),
        (("LIST", "ID", "x"), b"ERR Invalid client ID"),
        (("KILL", "192.0.2.1:1"), b"ERR No such client"),
        (("KILL", "ID", "0"), b"ERR client-id should be greater than 0"),
        (("KILL", "ID", "x"), b"ERR client-id should be greater than 0"),
        (("KILL", "MAXAGE", "x"), b"ERR maxage is not an integer or out of range"),
        (("KILL", "MAXAGE", "0"), b"ERR maxage should be greater than 0"),
        (("KILL", "TYPE", "foo"), b"ERR Unknown client type 'foo'"),
        (("KILL", "USER", "foo"), b"ERR No such user 'foo'"),
        (("KILL", "SKIPME", "maybe"), b"ERR syntax error"),
        (("KILL", "FOO", "bar"), b"ERR syntax error"),
        (("KILL", "ID", "1", "ADDR"), b"ERR syntax error"),
        (("REPLY", "OFF"), b"ERR CLIENT REPLY is not supported: every command is answered"),
        (("REPLY", "FOO"), b"ERR syntax error"),
        (("NO-EVICT", "FOO"), b"ERR syntax error"),
        (("NO-TOUCH", "ON"), b"ERR CLIENT NO-TOUCH ON is not supported: every read counts for eviction"),
        (("NO-TOUCH", "FOO"), b"ERR syntax error"),
        (("PAUSE", "1"), b"ERR CLIENT PAUSE is not supported: commands are never held back"),
        (("UNBLOCK", "x"), b"ERR value is not an integer or out of range"),
        (("MAINT_NOTIFICATIONS", "ON"), b"ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP."),
    ],
)
def test_what_is_wrong_or_not_supported_says_so(client: RespClient, words: tuple[str, ...], error: bytes) -> None:
    assert client.run("CLIENT", *words) == b"-%b\r\n" % error
    assert client.connected


def test_kill_by_address(network: RespNetwork, client: RespClient) -> None:
    other = network.client()
    assert client.run("CLIENT", "KILL", other.session.address) == OK
    network.turn()
    assert not other.connected
    assert client.connected
    assert list(network.state.sessions) == [client.session.id]


def test_kill_by_conditions(network: RespNetwork, client: RespClient) -> None:
    network.advance(100)
    one, other, third = (network.client() for _ in range(3))
    assert client.run("CLIENT", "KILL", "ID", one.session.id, "ADDR", other.session.address) == b":0\r\n"
    assert client.run("CLIENT", "KILL", "ID", one.session.id) == b":1\r\n"
    assert client.run("CLIENT", "KILL", "TYPE", "pubsub") == b":0\r\n"
    assert client.run("CLIENT", "KILL", "ADDR", other.session.address, "USER", "default") == b":1\r\n"
    assert [one.connected, other.connected, third.connected] == [False, False, True]
    assert third.run("CLIENT", "KILL", "MAXAGE", 100) == b":1\r\n"
    assert not client.connected


def test_who_ends_itself_gets_the_reply_first(network: RespNetwork, client: RespClient) -> None:
    other = network.client()
    assert client.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no") == b":2\r\n"
    network.turn()
    assert not client.connected
    assert not other.connected


def test_what_means_nothing_here_is_accepted(client: RespClient) -> None:
    for words in (("NO-EVICT", "on"), ("NO-EVICT", "OFF"), ("NO-TOUCH", "OFF"), ("REPLY", "ON"), ("UNPAUSE",)):
        assert client.run("CLIENT", *words) == OK
    assert client.run("CLIENT", "UNBLOCK", 1) == b":0\r\n"


def test_kill_takes_few_conditions(client: RespClient) -> None:
    assert client.run("CLIENT", "KILL", *["TYPE", "normal"] * 33) == b"-ERR 32 conditions are allowed\r\n"
