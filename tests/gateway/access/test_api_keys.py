"""API keys."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.errors import Unauthorized
from scalability.gateway.access.api_keys import KeyPlace, line_for, read_ring
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.request_head import RequestHead, parse_request_head

KEY, OTHER = "k" * 40, "o" * 40


def head_of(target: str = "/", *fields: str) -> RequestHead:
    lines = [f"GET {target} HTTP/1.1", "Host: x", *fields]
    return parse_request_head(("\r\n".join(lines) + "\r\n\r\n").encode(), DEFAULT_LIMITS)


def find(target: str, *fields: str, field: str = "X-API-Key", parameter: str = "") -> bytes | None:
    return KeyPlace(field, parameter).key_of(head_of(target, *fields))


def test_a_key_opens_for_whom_it_was_made() -> None:
    ring = read_ring(f"# two keys of one, while they change\n{line_for('app', KEY)}\r\n{line_for('app', OTHER)} # new\n\n".encode())
    assert (ring.holder(KEY.encode()), ring.holder(OTHER.encode()), ring.holder(b"nobody's"), len(ring)) == ("app", "app", None, 2)


def test_a_file_holds_no_key_and_a_hash_is_no_key() -> None:
    line = line_for("app", KEY)
    assert KEY not in line
    assert line == f"app:{sha256(KEY.encode()).hexdigest()}"
    ring = read_ring(line.encode())
    assert ring.holder(line.partition(":")[2].encode()) is None
    assert read_ring(line.upper().replace("APP", "app").encode()).holder(KEY.encode()) == "app"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"app", "line 1 is not NAME:SHA-256"),
        (b"\n\napp:" + KEY.encode(), "line 3 is not NAME:SHA-256"),
        (b"a b:" + b"0" * 64, "line 1"),
        (b":" + b"0" * 64, "line 1"),
        (b"\xff:" + b"0" * 64, "line 1"),
        (b"app:" + b"0" * 63, "line 1"),
        (b"app:" + b"0" * 64 + b"\nother:" + b"0" * 64, "line 2: the key of other is another's already"),
    ],
)
def test_a_bad_line_is_named_and_never_shown(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        read_ring(data)
    assert KEY not in str(caught.value)


def test_an_empty_file_lets_nobody_in() -> None:
    assert len(read_ring(b"# nobody yet\n")) == 0


@pytest.mark.parametrize(
    ("name", "key"), [("a b", KEY), ("", KEY), ("-a", KEY), ("a", "short"), ("a", "k" * 513), ("a", "k" * 30 + " k"), ("a", "\u00e4" * 30)]
)
def test_names_and_keys_that_are_none_are_refused(name: str, key: str) -> None:
    with pytest.raises(ValueError, match=r"a name has|a key has"):
        line_for(name, key)


def test_a_key_stands_in_a_field_or_in_the_query_where_that_is_allowed() -> None:
    assert find("/") is None
    assert find("/", "x-api-key:  abc ") == b"abc"
    assert find("/", "Apikey: abc", field="ApiKey") == b"abc"
    assert find("/?api_key=abc") is None
    assert find("/?a=1&api_key=a%2Bc&b", parameter="api_key") == b"a+c"
    assert find("/?api_key=query", "X-API-Key: field", parameter="api_key") == b"field"


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ("/", ("X-API-Key: a", "X-API-Key: a")),
        ("/", ("X-API-Key:",)),
        ("/", ("X-API-Key: " + "a" * 513,)),
        ("/?api_key=a&api_key=a", ()),
        ("/?api_key", ()),
        ("/?api_key=", ()),
    ],
)
def test_two_keys_or_one_that_is_none_are_refused(target: str, fields: tuple[str, ...]) -> None:
    with pytest.raises(Unauthorized):
        find(target, *fields, parameter="api_key")


@pytest.mark.parametrize(
    ("target", "left"),
    [
        (b"/a", b"/a"),
        (b"/a?", b"/a?"),
        (b"/a?b", b"/a?b"),
        (b"/a?key=1", b"/a"),
        (b"/a?b=2&key=1&c=?", b"/a?b=2&c=?"),
        (b"/a?key=1&key=2&&x", b"/a?&x"),
        (b"/a?keys=1&nokey=2", b"/a?keys=1&nokey=2"),
    ],
)
def test_the_key_is_taken_out_of_the_query_and_nothing_else(target: bytes, left: bytes) -> None:
    assert KeyPlace("x", "key").without_key(target) == left
    assert KeyPlace("x").without_key(target) == target


@given(st.lists(st.tuples(st.sampled_from(["key", "k", "keys", "a"]), st.text("abc=%2", max_size=4)), min_size=1, max_size=6))
def test_what_is_left_of_a_query_has_no_key(pairs: list[tuple[str, str]]) -> None:
    place = KeyPlace("x", "key")
    target = "/?" + "&".join(f"{name}={value}" for name, value in pairs)
    left = place.without_key(target.encode()).decode()
    assert place.key_of(head_of(left)) is None
    kept = "&".join(f"{name}={value}" for name, value in pairs if name != "key")
    assert left == ("/?" + kept if kept else "/")
