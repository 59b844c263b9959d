"""MULTI, EXEC and WATCH."""

from typing import Any

import pytest

from scalability.cache.resp import transactions
from scalability.cache.resp.command_table import COMMANDS
from scalability.cache.resp.transactions import HeldBytes, Queue
from scalability.testing.resp_network import RespClient, RespNetwork

OK = b"+OK\r\n"
QUEUED = b"+QUEUED\r\n"
ABORTED = b"-EXECABORT Transaction discarded because of previous errors.\r\n"


@pytest.fixture
def network() -> RespNetwork:
    return RespNetwork()


@pytest.fixture
def client(network: RespNetwork) -> RespClient:
    return network.client()


def test_commands_are_put_off_and_run_in_one_go(client: RespClient, network: RespNetwork) -> None:
    other = network.client()
    assert client.run("MULTI") == OK
    assert client.run("SET", "a", "1") == QUEUED
    assert client.run("INCR", "a") == QUEUED
    assert other.run("GET", "a") == b"$-1\r\n"
    assert client.run("EXEC") == b"*2\r\n+OK\r\n:2\r\n"
    assert other.run("GET", "a") == b"$1\r\n2\r\n"
    assert client.run("EXEC") == b"-ERR EXEC without MULTI\r\n"
    assert client.session.plain


def test_a_command_that_fails_when_it_runs_fails_alone(client: RespClient) -> None:
    client.run("MULTI")
    client.run("SET", "a", "x")
    client.run("INCR", "a")
    client.run("SET", "b", "1")
    assert client.run("EXEC") == b"*3\r\n+OK\r\n-ERR value is not an integer or out of range\r\n+OK\r\n"


@pytest.mark.parametrize(
    "mistake", [("FOO",), ("LPUSH", "a"), ("GET",), ("CLIENT", "FOO"), ("CLIENT", "TRACKING"), ("DISCARD", "x"), ("WATCH",)]
)
def test_a_command_that_cannot_be_put_off_spoils_all(client: RespClient, mistake: tuple[str, ...]) -> None:
    client.run("MULTI")
    assert client.run("SET", "a", "1") == QUEUED
    assert client.run(*mistake).startswith(b"-ERR")
    assert client.run("SET", "b", "1") == QUEUED
    assert client.run("EXEC") == ABORTED
    assert client.run("EXISTS", "a", "b") == b":0\r\n"
    client.run("MULTI")
    assert client.run("EXEC") == b"*0\r\n"


def test_multi_and_watch_within_a_transaction_are_refused_and_spoil_nothing(client: RespClient) -> None:
    client.run("MULTI")
    assert client.run("MULTI") == b"-ERR MULTI calls can not be nested\r\n"
    assert client.run("WATCH", "a") == b"-ERR WATCH inside MULTI is not allowed\r\n"
    assert client.run("PING") == QUEUED
    assert client.run("EXEC") == b"*1\r\n+PONG\r\n"


def test_exec_told_in_a_wrong_way_ends_the_transaction(client: RespClient) -> None:
    client.run("MULTI")
    client.run("SET", "a", "1")
    assert client.run("EXEC", "x") == b"-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n"
    assert client.run("GET", "a") == b"$-1\r\n"


def test_discard_forgets_the_commands_and_the_watched_keys(client: RespClient) -> None:
    client.run("WATCH", "a")
    client.run("MULTI")
    client.run("SET", "a", "1")
    assert client.run("DISCARD") == OK
    assert client.run("DISCARD") == b"-ERR DISCARD without MULTI\r\n"
    client.run("SET", "a", "2")
    client.run("MULTI")
    assert client.run("EXEC") == b"*0\r\n"
    assert client.run("GET", "a") == b"$1\r\n2\r\n"


def broken(network: RespNetwork, client: RespClient) -> bool:
    client.run("MULTI")
    client.run("SET", "done", "1")
    reply = client.run("EXEC")
    done = client.run("EXISTS", "done") == b":1\r\n"
    assert reply == (b"*1\r\n+OK\r\n" if done else b"*-1\r\n")
    assert not network.entries.observers
    return not done


CHANGES: list[tuple[str | int, ...]] = [
    ("SET", "a", "1"),
    ("DEL", "a"),
    ("EXPIRE", "a", 100),
    ("APPEND", "a", "x"),
    ("GETDEL", "a"),
    ("RENAME", "a", "b"),
    ("RENAME", "other", "a"),
    ("COPY", "other", "a", "REPLACE"),
    ("MSET", "b", "1", "a", "2"),
    ("PERSIST", "soon"),
    ("FLUSHALL",),
    ("FLUSHDB",),
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize("own", [True, False])
def test_exec_runs_nothing_when_a_watched_key_has_changed(network: RespNetwork, client: RespClient, change: Any, own: bool) -> None:
    client.run("MSET", "a", "1", "other", "2")
    client.run("SET", "soon", "1", "EX", 1000)
    assert client.run("WATCH", "a", "soon") == OK
    (client if own else network.client()).run(*change)
    assert broken(network, client)


UNCHANGED: list[tuple[str, ...]] = [("GET", "a"), ("SET", "b", "1"), ("DEL", "none"), ("SETNX", "a", "2"), ("PERSIST", "a"), ("TOUCH", "a")]


@pytest.mark.parametrize("other", UNCHANGED, ids=str)
def test_what_changes_nothing_breaks_nothing(network: RespNetwork, client: RespClient, other: Any) -> None:
    client.run("SET", "a", "1")
    client.run("WATCH", "a", "none")
    network.client().run(*other)
    assert not broken(network, client)


def test_expiry_breaks_a_transaction(network: RespNetwork, client: RespClient) -> None:
    client.run("SET", "a", "1", "PX", 500)
    client.run("WATCH", "a")
    network.advance(0.6)
    assert broken(network, client)


def test_eviction_breaks_a_transaction() -> None:
    network = RespNetwork(max_entries=10)
    client = network.client()
    client.run("SET", "a", "1")
    client.run("WATCH", "a")
    other = network.client()
    for number in range(100):
        other.run("SET", number, "1")
    assert client.run("EXISTS", "a") == b":0\r\n"
    assert broken(network, client)


def test_a_change_over_http_breaks_a_transaction(network: RespNetwork, client: RespClient) -> None:
    client.run("WATCH", "a")
    network.entries.set(b"a", b"1", network.entries.now(), 60.0)
    assert broken(network, client)


def test_unwatch_forgets_the_watched_keys(network: RespNetwork, client: RespClient) -> None:
    client.run("WATCH", "a")
    client.run("SET", "a", "1")
    assert client.run("UNWATCH") == OK
    assert client.run("UNWATCH") == OK
    assert not broken(network, client)


def test_a_null_is_told_in_the_version_of_the_client(network: RespNetwork) -> None:
    client = network.client(resp3=True)
    client.run("WATCH", "a")
    client.run("SET", "a", "1")
    client.run("MULTI")
    assert client.run("EXEC") == b"_\r\n"


def test_who_leaves_watches_and_holds_nothing_any_more(network: RespNetwork, client: RespClient) -> None:
    client.run("WATCH", "a")
    client.run("MULTI")
    client.run("SET", "a", "1")
    assert network.state.queued.bytes > 0
    client.leave()
    assert network.state.queued.bytes == 0
    assert not network.entries.observers


def test_commands_of_the_connection_run_within_a_transaction(client: RespClient) -> None:
    client.run("MULTI")
    client.run("CLIENT", "SETNAME", "x")
    client.run("SELECT", 7)
    client.run("CLIENT", "GETNAME")
    assert client.run("EXEC") == b"*3\r\n+OK\r\n-ERR DB index is out of range\r\n$1\r\nx\r\n"


def test_a_transaction_is_bounded_in_commands(client: RespClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "MAX_COMMANDS", 2)
    client.run("MULTI")
    assert client.run("PING") + client.run("PING") == QUEUED * 2
    assert client.run("PING") == b"-ERR too many commands in one transaction: 2 are allowed\r\n"
    assert client.run("EXEC") == ABORTED


def test_a_transaction_is_bounded_in_arguments(client: RespClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "MAX_WORDS", 10)
    client.run("MULTI")
    assert client.run("DEL", *"abcdefgh") == QUEUED
    assert client.run("PING") == QUEUED
    assert client.run("PING") == b"-ERR too many arguments in one transaction: 10 are allowed\r\n"
    assert client.run("EXEC") == ABORTED


def test_a_transaction_has_few_commands_that_go_through_all_keys(client: RespClient) -> None:
    client.run("MULTI")
    for _ in range(transactions.MAX_COSTLY):
        assert client.run("KEYS", "x*") == QUEUED
    assert client.run("SCAN", 0) == b"-ERR too many costly commands in one transaction: 4 like 'scan' are allowed\r\n"
    assert client.run("EXEC") == ABORTED


@pytest.mark.parametrize(
    "copying",
    [("APPEND", "a", "y"), ("SETRANGE", "a", 0, "y"), ("GET", "a"), ("GETEX", "a"), ("SET", "a", "x", "GET"), ("GETRANGE", "a", 0, 9)],
)
def test_a_transaction_copies_large_values_a_few_times_only(
    client: RespClient, monkeypatch: pytest.MonkeyPatch, copying: tuple[str, ...]
) -> None:
    monkeypatch.setattr(transactions, "MAX_COPIED_BYTES", 2500)
    client.run("SET", "a", "x" * 1000)
    client.run("MULTI")
    for _ in range(3):
        client.run("APPEND", "a", "x")
    client.run(*copying)
    client.run("DEL", "a")
    reply = client.run("EXEC")
    assert reply == b"*5\r\n:1001\r\n:1002\r\n:1003\r\n-ERR not run: this transaction has copied more than 2500 bytes of values\r\n:1\r\n"


def test_all_transactions_together_are_bounded_in_bytes(client: RespClient, network: RespNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "MAX_QUEUED_BYTES", 2000)
    other = network.client()
    client.run("MULTI")
    other.run("MULTI")
    assert client.run("SET", "a", "x" * 1500) == QUEUED
    assert other.run("SET", "b", "x" * 1500).startswith(b"-ERR the transactions under way hold")
    assert client.run("EXEC") == b"*1\r\n+OK\r\n"
    assert other.run("EXEC") == ABORTED
    assert network.state.queued.bytes == 0


def test_one_client_cannot_take_what_the_transactions_of_all_have(
    client: RespClient, network: RespNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "MAX_QUEUED_BYTES", 4000)
    monkeypatch.setattr(transactions, "MAX_OWN_BYTES", 1500)
    other = network.client()
    client.run("MULTI")
    assert client.run("SET", "a", "x" * 1000) == QUEUED
    assert client.run("SET", "b", "x" * 1000).startswith(b"-ERR this transaction would hold more than 1500 bytes")
    other.run("MULTI")
    assert other.run("SET", "c", "x" * 2000) == QUEUED, "a single command may be larger"
    assert client.run("EXEC") == ABORTED
    assert other.run("EXEC") == b"*1\r\n+OK\r\n"
    assert network.state.queued.bytes == 0


def test_the_answers_of_a_transaction_are_bounded(client: RespClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "MAX_REPLY_BYTES", 2500)
    monkeypatch.setattr(transactions, "MAX_COPIED_BYTES", 2500)
    client.run("SET", "a", "x" * 1000)
    client.run("MULTI")
    for _ in range(4):
        client.run("GET", "a")
    client.run("INCR", "n")
    reply = client.run("EXEC")
    assert reply.startswith(b"*5\r\n")
    assert reply.count(b"x" * 1000) == 2
    assert reply.count(b"-ERR the command was run, but the answers of this transaction exceed 2500 bytes\r\n") == 1
    assert reply.count(b"-ERR not run: this transaction has copied more than 2500 bytes of values\r\n") == 1
    assert reply.endswith(b":1\r\n")


def test_a_queue_counts_what_it_holds() -> None:
    held = HeldBytes()
    queue = Queue(held)
    queue.append(COMMANDS[b"set"], [b"SET", b"a", b"x" * 1000])
    assert len(queue) == 1
    assert 1000 < held.bytes < 1500
    queue.end()
    queue.end()
    assert (held.bytes, len(queue)) == (0, 0)
