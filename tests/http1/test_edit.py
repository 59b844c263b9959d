"""Heads, edited."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.http1.edit import MAX_EDITS, HeadEditor
from scalability.http1.forward import forward_request
from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.http1.request_head import RequestHead, parse_request_head

EDITOR = HeadEditor(frozenset((b"authorization", b"x-consumer")), DEFAULT_LIMITS)


def parsed(*lines: str, start: str = "GET /a?b HTTP/1.1") -> RequestHead:
    return parse_request_head(("\r\n".join([start, "Host: x", *lines]) + "\r\n\r\n").encode(), DEFAULT_LIMITS)


def test_fields_go_and_come_and_the_others_stay_as_they_were() -> None:
    head = parsed("A: 1", "AUTHORIZATION: secret", "X-Consumer: forged", "a: 2", "x-consumer: again", "Content-Length: 3")
    edited = EDITOR.edit(head, ((b"X-Consumer", b"app"),), b"/c")
    assert (edited.method, edited.target, edited.minor, edited.host) == (b"GET", b"/c", 1, b"x")
    assert edited.fields == ((b"Host", b"x"), (b"A", b"1"), (b"a", b"2"), (b"Content-Length", b"3"), (b"X-Consumer", b"app"))
    assert (edited.content_length, edited.get_all(b"x-consumer"), edited.get_all(b"a")) == (3, [b"app"], [b"1", b"2"])
    assert head.get(b"authorization") == b"secret"


def test_where_there_is_nothing_to_change_the_head_is_the_same() -> None:
    head = parsed("A: 1")
    assert EDITOR.edit(head) is head
    moved = EDITOR.edit(head, target=b"/c")
    assert (moved.target, moved.shared is head.shared) == (b"/c", True)


def test_what_repeats_is_made_once() -> None:
    editor = HeadEditor(frozenset([b"a"]), DEFAULT_LIMITS)
    first, second, other = (editor.edit(parsed(f"A: {value}"), ((b"B", b"b"),)) for value in "112")
    assert first.shared is second.shared
    assert first.shared is not other.shared
    assert editor.edit(parsed("A: 1"), ((b"B", b"c"),)).get(b"b") == b"c"
    for n in range(2 * MAX_EDITS):
        assert editor.edit(parsed(f"A: {n}", "C: c")).get(b"c") == b"c"
        assert len(editor._known) <= MAX_EDITS


def test_a_client_cannot_have_a_field_of_ours_taken_out_by_naming_it_in_connection() -> None:
    head = parsed("Connection: X-Consumer , close,x-other", "connection: x-consumer", "X-Other: 1")
    edited = EDITOR.edit(head, ((b"X-Consumer", b"app"),))
    assert edited.connection_options == {b"close", b"x-other"}
    assert edited.get_all(b"connection") == [b"close, x-other", b""]
    forwarded = forward_request(edited, peer_host=b"192.0.2.1", scheme=b"http", via=b"us")
    assert b"X-Consumer: app\r\n" in forwarded
    assert b"X-Other" not in forwarded


def test_a_large_head_is_not_remembered() -> None:
    editor = HeadEditor(frozenset([b"a"]), DEFAULT_LIMITS)
    editor.edit(parsed("A: 1", "B: " + "b" * 5000))
    assert editor._known == {}


def test_an_old_client_and_one_with_as_many_fields_as_there_may_be_are_edited_too() -> None:
    limits = Limits(max_fields=3)
    head = parse_request_head(b"GET / HTTP/1.0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", limits)
    edited = HeadEditor(frozenset(), limits).edit(head, ((b"D", b"4"),))
    assert (edited.minor, edited.host, len(edited.fields)) == (0, b"", 4)


@pytest.mark.parametrize("value", [b"a\r\nHost: y", b"a\n", b"\0"])
def test_what_would_break_the_head_is_a_mistake_of_ours(value: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be added"):
        EDITOR.edit(parsed(), ((b"X-Consumer", value),))


@given(st.lists(st.tuples(st.sampled_from(["A", "b", "X-Consumer", "authorization", "Cookie"]), st.text("ab ,;=", max_size=6)), max_size=8))
def test_an_edited_head_is_what_a_client_would_have_had_to_send(fields: list[tuple[str, str]]) -> None:
    edited = EDITOR.edit(parsed(*(f"{name}: {value}" for name, value in fields)), ((b"X-Consumer", b"app"),))
    kept = [(name, value) for name, value in fields if name.lower() not in ("authorization", "x-consumer")]
    wanted = parsed(*(f"{name}: {value}" for name, value in kept), "X-Consumer: app")
    assert (edited.fields, edited.index, edited.repeats) == (wanted.fields, wanted.index, wanted.repeats)
