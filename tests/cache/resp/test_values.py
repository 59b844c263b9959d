"""Keeping what a command has made."""

import pytest

from scalability.cache.resp.commands import CommandError
from scalability.cache.resp.values import check_size, store
from scalability.testing.resp_session import START, RespSession


def test_a_value_is_kept_and_its_change_is_told_with_the_client_that_made_it() -> None:
    client = RespSession()
    client.session.now = START
    store(client.session, b"a", b"1", START + 2)
    assert (client.value("a"), client.ends_in("a")) == (b"1", 2)
    assert (client.changes.keys, client.changes.by) == ([b"a"], [client.session])


def test_what_is_too_large_is_refused_and_leaves_nothing_out_of_date() -> None:
    client = RespSession(max_object_bytes=100)
    client.session.now = START
    store(client.session, b"a", b"1" * 99, START + 2)
    with pytest.raises(CommandError, match="ERR string exceeds maximum allowed size"):
        store(client.session, b"a", b"1" * 100, START + 2)
    assert client.value("a") is None
    assert client.changes.keys == [b"a", b"a"]


def test_a_size_is_refused_before_the_value_is_made() -> None:
    client = RespSession(max_object_bytes=100)
    check_size(client.session, b"a", 99)
    with pytest.raises(CommandError, match="ERR string exceeds maximum allowed size"):
        check_size(client.session, b"a", 1 << 62)
