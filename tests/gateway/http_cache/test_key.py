"""Keys: the same for what is the same, never for what is not."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scalability.gateway.http_cache.key import primary_key, selecting_values, vary_names
from scalability.testing.messages import request, response

HOST = st.from_regex(rb"[A-Za-z0-9.%\-]{0,8}(:[0-9]{0,5})?|\[[0-9a-f:]{2,8}\](:[0-9]{0,5})?", fullmatch=True)
TARGET = st.from_regex(rb"/[!-~]{0,20}", fullmatch=True)
SCHEME = st.sampled_from([b"http", b"https"])


def test_rfc9110_4_2_3_equivalent_uris_have_one_key() -> None:
    """Scheme and host are case-insensitive, the default port and an empty one are equivalent to none; escapes as RFC 3986 section 6.2."""
    key = primary_key(b"http", b"example.com", b"/~smith/home?a=%2F")
    assert key == primary_key(b"HTTP", b"EXAMPLE.com:80", b"/%7Esmith/home?a=%2f")
    assert key == primary_key(b"http", b"example.com:", b"/%7esmith/hom%65?%61=%2f")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((b"http", b"a", b"/x"), (b"https", b"a", b"/x")),
        ((b"http", b"a", b"/x"), (b"http", b"a:8080", b"/x")),
        ((b"http", b"a:443", b"/x"), (b"http", b"a", b"/x")),
        ((b"http", b"a", b"/x"), (b"http", b"a", b"/X")),
        ((b"http", b"a", b"/x"), (b"http", b"a", b"/x?")),
        ((b"http", b"a", b"/x?a=1&b=2"), (b"http", b"a", b"/x?b=2&a=1")),
        ((b"http", b"a", b"/x/"), (b"http", b"a", b"/x")),
        ((b"http", b"a", b"/x%2Fy"), (b"http", b"a", b"/x/y")),
        ((b"http", b"a", b"/%2e%2e/y"), (b"http", b"a", b"/../y")),
        ((b"http", b"a", b"/x%20y"), (b"http", b"a", b"/x+y")),
        ((b"http", b"a", b"/%2541"), (b"http", b"a", b"/%41")),
        ((b"http", b"[::1]", b"/x"), (b"http", b"[::1]:81", b"/x")),
        ((b"http", b"[::80]", b"/x"), (b"http", b"[:", b"/x")),
        ((b"http", b"a%3ab", b"/x"), (b"http", b"a:b", b"/x")),
    ],
)
def test_different_resources_have_different_keys(one: tuple[bytes, bytes, bytes], other: tuple[bytes, bytes, bytes]) -> None:
    assert primary_key(*one) != primary_key(*other)


def _equivalent(scheme: bytes, host: bytes, target: bytes) -> tuple[bytes, bytes, bytes]:
    """RFC 3986 section 6.2 by brute force: the oracle."""

    def unescaped(text: bytes, *, lower: bool) -> bytes:
        out = b""
        at = 0
        while at < len(text):
            piece = text[at : at + 3]
            try:
                octet = int(piece[1:], 16) if piece[:1] == b"%" and len(piece) == 3 and piece[1:].isalnum() else -1
            except ValueError:
                octet = -1
            if octet < 0:
                out += text[at : at + 1].lower() if lower else text[at : at + 1]
                at += 1
            else:
                letter = bytes([octet])
                plain = letter.isalnum() or letter in (b"-", b"_", b"~")
                out += (letter.lower() if lower else letter) if plain else piece.upper()
                at += 3
        return out

    host = host.removesuffix(b":80" if scheme == b"http" else b":443").removesuffix(b":") if not host.endswith(b"]") else host
    return scheme, unescaped(host, lower=True), unescaped(target, lower=False)


@given(SCHEME, HOST, TARGET, SCHEME, HOST, TARGET)
@example(b"http", b"a", b"/%41", b"http", b"a", b"/A")
@example(b"http", b"a:80", b"/b", b"http", b"a", b"/b")
def test_the_primary_key_is_injective(s1: bytes, h1: bytes, t1: bytes, s2: bytes, h2: bytes, t2: bytes) -> None:
    same = _equivalent(s1, h1, t1) == _equivalent(s2, h2, t2)
    assert (primary_key(s1, h1, t1) == primary_key(s2, h2, t2)) is same


@given(SCHEME, HOST, TARGET)
def test_a_key_can_be_read_back(scheme: bytes, host: bytes, target: bytes) -> None:
    assert primary_key(*primary_key(scheme, host, target).split(b" ")).count(b" ") == 2


def test_vary_names_are_sorted_lower_case_and_once() -> None:
    assert vary_names(response()) == ()
    assert vary_names(response(b"Vary: B, a", b"vary: ,b , c")) == (b"a", b"b", b"c")
    assert vary_names(response(b"Vary: ")) == ()


@pytest.mark.parametrize("value", [b"*", b"a, *", b"*, a", b"a b", b"a;q=1", b'"a"'])
def test_rfc9111_4_1_a_vary_with_an_asterisk_always_fails_to_match(value: bytes) -> None:
    """A stored response with a Vary header field value containing a member "*" always fails to match."""
    assert vary_names(response(b"Vary: " + value)) is None


def test_rfc9111_4_1_an_absent_field_matches_only_an_absent_field() -> None:
    """If a header field is absent from a request, it can only match another request if it is also absent there."""
    assert selecting_values((b"a", b"b"), request(b"A: 1")) == (b"1", None)
    assert selecting_values((b"a",), request()) != selecting_values((b"a",), request(b"A: "))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([b"X: 1,2"], [b"X: 1,  2"]),
        ([b"X: 1, 2"], [b"X: 1", b"X: 2"]),
        ([b"Accept-Encoding: gzip, br"], [b"accept-encoding: BR , GZip"]),
        ([b"Accept-Encoding: gzip;q=1.0, br;q=0.50"], [b"Accept-Encoding: gzip", b"Accept-Encoding: br; q=0.5"]),
        ([b"Accept-Language: en-GB, de;q=0.7"], [b"Accept-Language: EN-gb,,de ; q=0.700"]),
        ([b"Accept-Encoding: identity;q=0"], [b"Accept-Encoding: identity;q=0.000"]),
    ],
)
def test_rfc9111_4_1_values_that_mean_the_same_match(one: list[bytes], other: list[bytes]) -> None:
    names = (b"accept-encoding", b"accept-language", b"x")
    assert selecting_values(names, request(*one)) == selecting_values(names, request(*other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([b"X: a"], [b"X: A"]),
        ([b"X: 1, 2"], [b"X: 2, 1"]),
        ([b'X: "a,  b"'], [b'X: "a, b"']),
        ([b"User-Agent: (K, like G)"], [b"User-Agent: (K,like G)"]),
        ([b"Accept-Encoding: gzip"], [b"Accept-Encoding: gzip;q=0"]),
        ([b"Accept-Language: en, de"], [b"Accept-Language: de, en"]),
        ([b"Accept-Language: en;q=0.5"], [b"Accept-Language: en;q=0.6"]),
        ([b"Accept: text/plain;a=B"], [b"Accept: text/plain;a=b"]),
    ],
)
def test_rfc9111_4_1_values_that_may_differ_do_not_match(one: list[bytes], other: list[bytes]) -> None:
    names = (b"accept", b"accept-encoding", b"accept-language", b"user-agent", b"x")
    assert selecting_values(names, request(*one)) != selecting_values(names, request(*other))


@given(st.lists(st.text('aA,;q=01. \t"(*', max_size=12).map(lambda text: text.strip().encode()), max_size=3))
def test_normalising_never_fails_and_is_stable(values: list[bytes]) -> None:
    for name in (b"accept-encoding", b"accept-language", b"x"):
        (value,) = selecting_values((name,), request(*(name + b": " + value for value in values)))
        if value is not None:
            assert selecting_values((name,), request(name + b": " + value)) == (value,)
