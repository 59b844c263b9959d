"""The cookie: opaque, unforgeable, and found among whatever else a client sends."""

import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.upstream.stickiness import MAX_KEYS, Known, Stickiness, read_keys

OLD, NEW = b"o" * 32, b"n" * 32


@dataclass(frozen=True)
class Server:
    name: str


A, B, C = Server("10.0.0.1:80"), Server("10.0.0.2:80"), Server("[::1]:8080")


def sticky(*servers: Server, keys: tuple[bytes, ...] = (OLD,), name: str = "scalelab_server") -> Stickiness[Server]:
    stickiness: Stickiness[Server] = Stickiness(keys, name)
    stickiness.replace(servers or (A, B, C))
    return stickiness


def pair(stickiness: Stickiness[Server], server: Server) -> bytes:
    """``name=token``."""
    return (stickiness.set_cookie(server, secure=False) or b"").partition(b";")[0]


def token(stickiness: Stickiness[Server], server: Server) -> bytes:
    return pair(stickiness, server).partition(b"=")[2]


PAIR_A = pair(sticky(), A)
TOKEN_A = token(sticky(), A)


def found(*lines: bytes) -> Server | None:
    known = sticky().find(lines)
    return known.server if known is not None else None


# what is sent


def test_the_cookie_is_for_every_path_out_of_reach_of_scripts_and_of_other_sites_posts() -> None:
    assert re.fullmatch(
        rb"scalelab_server=[A-Za-z0-9_-]{24}; Path=/; HttpOnly; SameSite=Lax",
        sticky().set_cookie(A, secure=False) or b"",
    )


def test_over_tls_it_is_secure() -> None:
    assert sticky().set_cookie(A, secure=True) == PAIR_A + b"; Path=/; HttpOnly; SameSite=Lax; Secure"


def test_it_does_not_say_where_the_server_is() -> None:
    assert all(part not in TOKEN_A for part in (b"10.0", b"80", b"MTAuMC4wLjE"))
    assert len({token(sticky(), server) for server in (A, B, C)}) == 3


def test_it_is_the_same_in_every_process_that_has_the_key_and_another_with_another() -> None:
    assert token(sticky(B, A), A) == TOKEN_A
    assert token(sticky(keys=(NEW,)), A) != TOKEN_A


def test_a_server_that_takes_no_sticky_traffic_has_none() -> None:
    assert sticky(A).set_cookie(B, secure=False) is None


# what is found


@pytest.mark.parametrize(
    "line",
    [
        PAIR_A,
        b"theme=dark; " + PAIR_A,
        PAIR_A + b"; theme=dark",
        b"a=b; " + PAIR_A + b"; c=d",
        b"a=b;" + PAIR_A + b";c=d",
        b"a=b;\t " + PAIR_A + b" \t; c=d",
        b'scalelab_server="' + TOKEN_A + b'"',
        b'a="b"; scalelab_server="' + TOKEN_A + b'"; c=d',
        b"scalelab_server=; " + PAIR_A,
        b"xscalelab_server=1; " + PAIR_A,
        b"scalelab_server=stale; " + PAIR_A,
        b"scalelab_server=" + b"A" * 24 + b"; " + PAIR_A,
        PAIR_A + b"; " + PAIR_A,
    ],
)
def test_the_server_is_found_wherever_the_cookie_stands(line: bytes) -> None:
    assert found(line) is A


def test_it_is_found_in_any_of_several_lines() -> None:
    assert found(b"a=b", PAIR_A, b"c=d") is A
    assert found() is None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"scalelab_server",
        b"scalelab_server=",
        b"x" + PAIR_A,
        b"a=b; x" + PAIR_A,
        b"a=" + PAIR_A,
        b"=" + PAIR_A,
        PAIR_A.upper(),
        b"Scalelab_server=" + TOKEN_A,
        b"scalelab_server2=" + TOKEN_A,
        b"scalelab_server =" + TOKEN_A,
        b"scalelab_server= " + TOKEN_A,
        b"scalelab_server=" + TOKEN_A[:-1],
        PAIR_A + b"x",
        PAIR_A + b"=",
        PAIR_A + b" x",
        PAIR_A + b", a=b",
        b'scalelab_server="' + TOKEN_A,
        PAIR_A + b'"',
        b"scalelab_server='" + TOKEN_A + b"'",
        b'scalelab_server=""' + TOKEN_A + b'""',
        b"scalelab_server=" + TOKEN_A.swapcase(),
        b"scalelab_server=10.0.0.1:80",
        b"theme=dark",
    ],
)
def test_what_only_looks_like_it_is_not_it(line: bytes) -> None:
    assert found(line) is None


@pytest.mark.parametrize(
    "line",
    [
        PAIR_A * 1000,
        b"scalelab_server=" + b"A" * 32000,
        b"; " * 16000 + b"scalelab_server=",
        (b"; scalelab_server=" + b"A" * 24) * 700,
        b"; scalelab_server" * 1800,
        b"scalelab_server=" + b"A" * 24 + b" " * 32000 + b"x",
        b'scalelab_server="' * 2000,
    ],
)
def test_absurd_sizes_are_searched_once_and_find_nothing(line: bytes) -> None:
    assert found(line) is None


def test_after_absurd_sizes_the_cookie_is_still_found() -> None:
    assert found(b"a=" + b"A" * 30000 + b"; " + PAIR_A) is A


def test_another_name_may_be_chosen() -> None:
    stickiness = sticky(name="__Host-lb.1+x")
    assert stickiness.find([b"__Host-lbA1+x=" + token(stickiness, A)]) is None, "a dot is a dot"
    assert stickiness.find([b"a=b; " + pair(stickiness, A)]) == Known(A, True)


# servers that come and go


def test_a_server_that_is_gone_is_not_found_and_one_that_is_back_is() -> None:
    stickiness = sticky(A, B)
    stickiness.replace([B])
    assert stickiness.find([PAIR_A]) is None
    stickiness.replace([A, B])
    assert stickiness.find([PAIR_A]) == Known(A, True)


def test_a_new_server_of_the_same_name_takes_over() -> None:
    stickiness = sticky(A)
    again = Server(A.name)
    stickiness.replace([again])
    known = stickiness.find([PAIR_A])
    assert known is not None
    assert known.server is again


# keys


def test_the_first_key_signs_and_all_are_believed() -> None:
    rotated = sticky(keys=(NEW, OLD))
    assert rotated.find([PAIR_A]) == Known(A, False)
    assert pair(rotated, A) == pair(sticky(keys=(NEW,)), A)
    assert rotated.find([pair(rotated, A)]) == Known(A, True)


def test_a_key_that_was_taken_out_is_not_believed_any_more() -> None:
    assert sticky(keys=(NEW,)).find([PAIR_A]) is None


def test_a_file_has_a_key_a_line() -> None:
    text = f"# made with openssl rand -hex 32\n\n{'n' * 32}\r\n  {'o' * 64}  \n"
    assert read_keys(text) == (b"n" * 32, b"o" * 64)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "1 to 8 keys, one a line, and not 0"),
        ("# only a comment\n", "and not 0"),
        ("secret\n", "line 1: a key has at least 32 characters"),
        (f"{'a' * 32}\n\nsecret", "line 3: a key has at least 32"),
        (f"{'a' * 32}\n{'a' * 32}\n", "line 2: this key stands above already"),
        ("\n".join(letter * 32 for letter in "abcdefghi"), "and not 9"),
    ],
)
def test_a_file_of_bad_keys_is_refused_without_showing_any(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        read_keys(text)
    assert not re.search("secret|aaaa", str(refused.value))


@pytest.mark.parametrize("keys", [(), (b"short",), (OLD, b""), tuple(bytes([n]) * 32 for n in range(MAX_KEYS + 1))])
def test_too_few_too_many_and_too_short_keys_are_refused(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="1 to 8 keys of at least 32 bytes"):
        Stickiness(keys)


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "é", "x" * 65, 'a"b', "a\r\nb"])
def test_a_name_that_no_cookie_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name for a cookie"):
        Stickiness((OLD,), name)


# whatever is sent

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
VERIFIER = sticky()
TOKENS = {token(VERIFIER, server): server for server in (A, B, C)}


@given(st.sampled_from(sorted(TOKENS)), st.integers(0, 23), st.sampled_from(sorted(ALPHABET)))
def test_a_token_with_any_character_changed_is_not_believed(genuine: bytes, at: int, octet: int) -> None:
    altered = genuine[:at] + bytes([octet]) + genuine[at + 1 :]
    known = VERIFIER.find([b"scalelab_server=" + altered])
    assert (known.server if known else None) is (TOKENS[genuine] if altered == genuine else None)


@given(st.binary(min_size=32, max_size=64), st.sampled_from([A, B, C]))
def test_a_token_made_with_another_key_is_not_believed(key: bytes, server: Server) -> None:
    forged = Stickiness[Server]([key])
    forged.replace([server])
    assert (VERIFIER.find([pair(forged, server)]) is None) is (key != OLD)


@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([PAIR_A, TOKEN_A, b"; ", b'"', b"scalelab_server="])), max_size=12))
def test_whatever_a_client_sends_only_a_genuine_token_after_the_name_is_found(pieces: list[bytes]) -> None:
    line = b"".join(pieces)
    known = VERIFIER.find([line])
    assert known is None or re.search(rb'(?:^|[; \t])scalelab_server="?' + token(VERIFIER, known.server) + rb'"?[ \t]*(?:;|\Z)', line)
