"""CLIENT TRACKING, as a client uses it."""

import pytest

from scalability.cache.resp import tracking
from scalability.testing.resp_network import RespClient, RespNetwork

OK = b"+OK\r\n"


def invalidated(*keys: bytes) -> bytes:
    return b">2\r\n$10\r\ninvalidate\r\n*%d\r\n" % len(keys) + b"".join(b"$%d\r\n%b\r\n" % (len(key), key) for key in keys)


@pytest.fixture
def network() -> RespNetwork:
    return RespNetwork()


@pytest.fixture
def client(network: RespNetwork) -> RespClient:
    return network.client(resp3=True)


def track(client: RespClient, *options: str) -> bytes:
    return client.run("CLIENT", "TRACKING", "ON", *options)


def test_a_client_is_told_of_a_change_of_what_it_has_read(network: RespNetwork, client: RespClient) -> None:
    other = network.client()
    assert track(client) == OK
    client.run("MGET", "a", "b")
    other.run("MSET", "b", 1, "c", 1)
    assert client.received() == invalidated(b"b")
    other.run("MSET", "a", 1, "b", 2)
    assert client.received() == invalidated(b"a")


READS = [("GET", "a"), ("EXISTS", "a"), ("TTL", "a"), ("TYPE", "a"), ("STRLEN", "a"), ("GETRANGE", "a", 0, 1), ("PEXPIRETIME", "a")]


@pytest.mark.parametrize("read", READS, ids=str)
def test_every_command_that_reads_a_key_tracks_it(network: RespNetwork, client: RespClient, read: tuple[str, ...]) -> None:
    client.run("SET", "a", "12")
    track(client)
    client.run(*read)
    network.client().run("EXPIRE", "a", 100)
    assert client.received() == invalidated(b"a")


def test_a_message_of_the_clients_own_change_follows_the_reply(client: RespClient) -> None:
    track(client)
    client.run("GET", "a")
    assert client.run("SET", "a", "1") == OK + invalidated(b"a")
    client.run("GET", "a")
    assert client.send(b"SET a 2\r\nGET a\r\nPING\r\n") == OK + invalidated(b"a") + b"$1\r\n2\r\n+PONG\r\n"
    assert client.run("FLUSHALL") == OK + b">2\r\n$10\r\ninvalidate\r\n_\r\n"


def test_reads_in_a_transaction_track_and_messages_follow_its_reply(network: RespNetwork, client: RespClient) -> None:
    track(client)
    client.run("MULTI")
    client.run("GET", "a")
    client.run("SET", "a", "1")
    client.run("GET", "b")
    assert client.run("EXEC") == b"*3\r\n_\r\n+OK\r\n_\r\n" + invalidated(b"a")
    network.client().run("SET", "b", "1")
    assert client.received() == invalidated(b"b")


def test_expiry_is_told_when_it_is_noticed(network: RespNetwork, client: RespClient) -> None:
    client.run("SET", "a", "1", "PX", 100)
    track(client)
    client.run("GET", "a")
    network.advance(3)
    network.expire()
    assert client.received() == invalidated(b"a")


def test_broadcast_follows_the_replies_in_one_message_for_all_keys(network: RespNetwork, client: RespClient) -> None:
    assert track(client, "BCAST", "PREFIX", "a", "PREFIX", "b") == OK
    replies = client.send(b"SET a1 1\r\nSET c 1\r\nSET b1 1\r\nSET a2 1\r\nGET c\r\n")
    assert replies == OK * 4 + b"$1\r\n1\r\n" + invalidated(b"a1", b"a2") + invalidated(b"b1")
    network.client().run("SET", "a3", "1")
    assert client.received() == invalidated(b"a3")
    network.entries.set(b"a4", b"1", network.entries.now(), 60.0)
    assert client.received() == invalidated(b"a4"), "a change over HTTP too"


def test_noloop(network: RespNetwork, client: RespClient) -> None:
    track(client, "NOLOOP")
    client.run("GET", "a")
    assert client.run("SET", "a", "1") == OK
    client.run("GET", "a")
    network.client().run("SET", "a", "1")
    assert client.received() == invalidated(b"a")


def test_optin_is_about_the_next_command_or_transaction(network: RespNetwork, client: RespClient) -> None:
    other = network.client()
    track(client, "OPTIN")
    assert client.run("CLIENT", "CACHING", "YES") == OK
    client.run("CLIENT", "TRACKINGINFO")
    client.run("GET", "a")
    client.run("GET", "b")
    client.run("CLIENT", "CACHING", "YES")
    client.run("PING")
    client.run("GET", "c")
    other.run("MSET", "a", 1, "b", 1, "c", 1)
    assert client.received() == invalidated(b"a")
    client.run("CLIENT", "CACHING", "YES")
    client.run("MULTI")
    client.run("GET", "a")
    client.run("GET", "b")
    client.run("EXEC")
    client.run("GET", "c")
    client.run("MULTI")
    client.run("CLIENT", "CACHING", "YES")
    client.run("GET", "d")
    client.run("EXEC")
    client.run("GET", "e")
    other.run("MSET", "a", 1, "b", 1, "c", 1, "d", 1, "e", 1)
    assert client.received() == invalidated(b"a") + invalidated(b"b") + invalidated(b"d")


def test_optout(network: RespNetwork, client: RespClient) -> None:
    track(client, "OPTOUT")
    client.run("CLIENT", "CACHING", "NO")
    client.run("GET", "a")
    client.run("GET", "b")
    network.client().run("MSET", "a", 1, "b", 1)
    assert client.received() == invalidated(b"b")


def test_off_ends_it(network: RespNetwork, client: RespClient) -> None:
    track(client)
    client.run("GET", "a")
    assert client.run("CLIENT", "TRACKING", "OFF") == OK
    assert client.run("CLIENT", "TRACKING", "OFF") == OK
    network.client().run("SET", "a", "1")
    assert client.received() == b""
    assert client.session.plain
    assert not network.entries.observers


def test_who_leaves_is_forgotten(network: RespNetwork, client: RespClient) -> None:
    track(client, "BCAST")
    network.client().run("SET", "a", "1")
    client.leave()
    network.turn()
    assert network.state.tracking.clients == 0
    assert not network.entries.observers


def test_in_resp2_nothing_is_sent(network: RespNetwork) -> None:
    client = network.client()
    track(client)
    client.run("GET", "a")
    assert client.run("SET", "a", "1") == OK
    client.run("GET", "a")
    client.run("HELLO", 3)
    assert client.run("SET", "a", "1") == OK + invalidated(b"a")


def test_the_version_at_the_end_of_a_transaction_counts(client: RespClient) -> None:
    track(client)
    client.run("GET", "a")
    client.run("MULTI")
    client.run("SET", "a", "1")
    client.run("HELLO", 2)
    assert client.run("EXEC").endswith(b"modules\r\n*0\r\n")


def test_trackinginfo_and_getredir(client: RespClient) -> None:
    off = b"%3\r\n$5\r\nflags\r\n~1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n"
    assert client.run("CLIENT", "TRACKINGINFO") == off
    assert client.run("CLIENT", "GETREDIR") == b":-1\r\n"
    track(client, "BCAST", "NOLOOP", "PREFIX", "ab")
    track(client, "BCAST", "NOLOOP", "PREFIX", "b")
    assert client.run("CLIENT", "TRACKINGINFO") == (
        b"%3\r\n$5\r\nflags\r\n~3\r\n$2\r\non\r\n$5\r\nbcast\r\n$6\r\nnoloop\r\n$8\r\nredirect\r\n:0\r\n"
        b"$8\r\nprefixes\r\n*2\r\n$2\r\nab\r\n$1\r\nb\r\n"
    )
    assert client.run("CLIENT", "GETREDIR") == b":0\r\n"


WRONG = [
    (("ON", "PREFIX", "a"), b"ERR PREFIX option requires BCAST mode to be enabled"),
    (("ON", "BCAST", "OPTIN"), b"ERR OPTIN and OPTOUT are not compatible with BCAST"),
    (("ON", "OPTIN", "OPTOUT"), b"ERR You can't specify both OPTIN mode and OPTOUT mode"),
    (("ON", "FOO"), b"ERR syntax error"),
    (("ON", "BCAST", "PREFIX"), b"ERR syntax error"),
    (("FOO",), b"ERR syntax error"),
    (
        ("ON", "REDIRECT", "1"),
        b"ERR REDIRECT is not supported: a client is told of changes by pushes of RESP3 (HELLO 3), on its own connection",
    ),
    (
        ("ON", "BCAST", "PREFIX", "a", "PREFIX", "ab"),
        b"ERR Prefix 'a' overlaps with another provided prefix 'ab'. Prefixes for a single client must not overlap.",
    ),
    (("ON", "BCAST", "PREFIX", "a" * 257), b"ERR a prefix has 257 bytes: 256 are allowed"),
]


@pytest.mark.parametrize(("words", "error"), WRONG)
def test_options_that_are_wrong_change_nothing(client: RespClient, words: tuple[str, ...], error: bytes) -> None:
    assert client.run("CLIENT", "TRACKING", *words) == b"-%b\r\n" % error
    assert client.session.tracking is None


def test_a_mode_is_not_changed_while_it_is_on(client: RespClient) -> None:
    track(client, "OPTIN")
    assert b"switch BCAST mode on/off before disabling" in track(client, "BCAST")
    assert b"switch OPTIN/OPTOUT mode before disabling" in track(client, "OPTOUT")
    assert track(client, "OPTIN", "NOLOOP") == OK
    client.run("CLIENT", "TRACKING", "OFF")
    assert track(client, "BCAST", "PREFIX", "a") == OK
    assert b"'ab' overlaps with an existing prefix 'a'" in track(client, "BCAST", "PREFIX", "ab")
    assert b"switch BCAST mode on/off" in track(client)


def test_caching_goes_with_its_mode(client: RespClient) -> None:
    assert b"can be called only when the client is in tracking mode" in client.run("CLIENT", "CACHING", "YES")
    track(client)
    assert b"CACHING YES is only valid when tracking is enabled in OPTIN mode" in client.run("CLIENT", "CACHING", "YES")
    track(client, "OPTIN")
    assert client.run("CLIENT", "CACHING", "MAYBE") == b"-ERR syntax error\r\n"
    assert b"CACHING NO is only valid when tracking is enabled in OPTOUT mode" in client.run("CLIENT", "CACHING", "NO")


def test_prefixes_are_bounded(client: RespClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "MAX_PREFIXES", 2)
    assert track(client, "BCAST", "PREFIX", "a", "PREFIX", "b") == OK
    assert track(client, "BCAST", "PREFIX", "c") == b"-ERR too many prefixes: 2 are allowed\r\n"
