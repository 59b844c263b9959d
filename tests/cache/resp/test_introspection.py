"""COMMAND: what there is."""

from typing import Any

import hiredis
import pytest

from scalability.testing.resp_network import RespClient, RespNetwork


@pytest.fixture
def client() -> RespClient:
    return RespNetwork().client()


def parsed(reply: bytes) -> Any:
    reader = hiredis.Reader()
    reader.feed(reply)
    answer = reader.gets()
    assert reader.gets() is False, "one reply"
    return answer


def answer(client: RespClient, *words: str) -> Any:
    return parsed(client.run(*words))


def test_count_and_list(client: RespClient) -> None:
    names = answer(client, "COMMAND", "LIST")
    assert answer(client, "COMMAND", "COUNT") == len(names) == len(set(names))
    assert {b"get", b"multi", b"command"} <= set(names)
    assert answer(client, "COMMAND", "LIST", "FILTERBY", "PATTERN", "PEXPIRE*") == [b"pexpire", b"pexpireat", b"pexpiretime"]
    assert answer(client, "COMMAND", "LIST", "FILTERBY", "MODULE", "x") == []
    transactions = answer(client, "COMMAND", "LIST", "FILTERBY", "ACLCAT", "transaction")
    assert sorted(transactions) == [b"discard", b"exec", b"multi", b"unwatch", b"watch"]
    assert client.run("COMMAND", "LIST", "FILTERBY", "FOO", "x") == b"-ERR syntax error\r\n"
    assert client.run("COMMAND", "LIST", "FOO") == b"-ERR syntax error\r\n"
    assert client.run("COMMAND", "LIST", "FILTERBY", "PATTERN", "*" * 2000).startswith(b"-ERR the pattern has")


def test_info_in_both_versions(client: RespClient) -> None:
    get, nothing, mset = answer(client, "COMMAND", "INFO", "GET", "foo", "mset")
    assert get[:6] == [b"get", 2, [b"fast", b"readonly"], 1, 1, 1]
    assert get[6] == [b"@read", b"@string", b"@fast"]
    assert nothing is None
    begin = [b"type", b"index", b"spec", [b"index", 1]]
    find = [b"type", b"range", b"spec", [b"lastkey", -1, b"keystep", 2, b"limit", 0]]
    specification = [[b"flags", [b"RW", b"access", b"update"], b"begin_search", begin, b"find_keys", find]]
    assert mset[8] == specification
    client.run("HELLO", "3")
    reply = client.run("COMMAND", "INFO", "get")
    assert reply.startswith(b"*1\r\n*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+fast\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n~3\r\n+@read\r\n")
    assert b"%3\r\n$4\r\nname" not in reply


def test_all_commands_can_be_told(client: RespClient) -> None:
    for version in ("2", "3"):
        client.run("HELLO", version)
        everything = answer(client, "COMMAND")
        assert len(everything) == answer(client, "COMMAND", "COUNT")
        assert all(len(command) == 10 for command in everything)
        assert answer(client, "COMMAND", "INFO") == everything
        docs = answer(client, "COMMAND", "DOCS")
        assert isinstance(docs, dict if version == "3" else list)


def test_subcommands_are_told_with_their_container(client: RespClient) -> None:
    (config,) = answer(client, "COMMAND", "INFO", "config")
    assert [part[0] for part in config[9]] == [b"config|get", b"config|set", b"config|resetstat", b"config|rewrite"]
    (get,) = answer(client, "COMMAND", "INFO", "CONFIG|GET")
    assert get[:2] == [b"config|get", -3]
    assert answer(client, "COMMAND", "INFO", "config|foo", "get|foo") == [None, None]


def test_docs(client: RespClient) -> None:
    client.run("HELLO", "3")
    docs = answer(client, "COMMAND", "DOCS", "get", "del", "set", "expire", "config", "foo")
    assert list(docs) == [b"get", b"del", b"set", b"expire", b"config"]
    assert docs[b"get"][b"group"] == b"string"
    assert docs[b"get"][b"summary"].endswith(b".")
    key = {b"name": b"key", b"type": b"key", b"key_spec_index": 0}
    assert docs[b"get"][b"arguments"] == [key]
    assert docs[b"del"][b"arguments"] == [{**key, b"flags": [b"multiple"]}]
    more = {b"name": b"argument", b"type": b"string"}
    assert docs[b"set"][b"arguments"] == [key, more, {**more, b"flags": [b"optional", b"multiple"]}]
    assert set(docs[b"config"][b"subcommands"]) == {b"config|get", b"config|set", b"config|resetstat", b"config|rewrite"}


def test_getkeys(client: RespClient) -> None:
    assert answer(client, "COMMAND", "GETKEYS", "mset", "a", "1", "b", "2") == [b"a", b"b"]
    assert answer(client, "COMMAND", "GETKEYS", "DEL", "a", "b") == [b"a", b"b"]
    assert client.run("COMMAND", "GETKEYS", "foo", "a") == b"-ERR Invalid command specified\r\n"
    assert client.run("COMMAND", "GETKEYS", "ping", "a") == b"-ERR The command has no key arguments\r\n"
    assert client.run("COMMAND", "GETKEYS", "get", "a", "b") == b"-ERR Invalid number of arguments specified for command\r\n"


def test_help_and_what_is_none(client: RespClient) -> None:
    assert b"GETKEYS <command> [<arg> ...]" in client.run("COMMAND", "HELP")
    assert client.run("COMMAND", "FOO") == b"-ERR unknown subcommand 'FOO'. Try COMMAND HELP.\r\n"
    client.run("MULTI")
    assert client.run("COMMAND") == b"+QUEUED\r\n"


@pytest.mark.parametrize("what", ["DOCS", "INFO"])
def test_few_names_are_told_of_at_once(client: RespClient, what: str) -> None:
    assert client.run("COMMAND", what, *["get"] * 501) == b"-ERR 500 names at once are allowed\r\n"
