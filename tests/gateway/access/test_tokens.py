"""Tokens, signed well and not so well."""

import base64
import hmac
import json
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalability.errors import Forbidden, Unauthorized
from scalability.gateway.access.bearer import BadToken, token_of
from scalability.gateway.access.claims import Rules
from scalability.gateway.access.keys import Keys, keys_of_set, public_key, secret_key
from scalability.gateway.access.tokens import Tokens, UnknownKey
from scalability.testing.signing import SECRET, ec_key, key_set, member, pem, rsa_key, signed

RSA, EC = rsa_key(), ec_key()
NOW = 1_700_000_000.0
CLAIMS = {"sub": "somebody", "exp": int(NOW) + 60}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(claims: Any, *, header: Any = None, secret: bytes = SECRET, digest: str = "sha256") -> bytes:
    """Signed here by hand, so that anything can be signed."""
    signed = b64(json.dumps(header or {"alg": "HS256", "typ": "JWT"}).encode()) + "." + b64(json.dumps(claims).encode())
    return (signed + "." + b64(hmac.new(secret, signed.encode(), digest).digest())).encode()


def public_tokens() -> Tokens:
    return Tokens(keys_of_set(key_set(member(RSA, kid="r"), member(EC, kid="e"))), Rules())


def by(key: Any, kid: str | None) -> bytes:
    return signed(CLAIMS, key, kid).encode()


def check(text: bytes) -> bytes:
    return Tokens(Keys([secret_key(SECRET)]), Rules()).check(token_of([text]), NOW).subject


def test_a_good_token_passes_whatever_name_it_gives_to_the_secret() -> None:
    assert check(token(CLAIMS)) == b"somebody"
    assert check(token(CLAIMS, header={"alg": "HS256", "kid": "any"})) == b"somebody"


@pytest.mark.parametrize(("key", "kid"), [(RSA, "r"), (EC, "e"), (RSA, None), (EC, None)])
def test_a_token_signed_with_a_private_key_passes(key: Any, kid: str | None) -> None:
    assert public_tokens().check(by(key, kid), NOW).subject == b"somebody"


@pytest.mark.parametrize(
    "bad",
    [
        token({}, secret=b"another secret, as long as the first"),
        token({}, header={"alg": "none"}),
        token({}, header={"alg": "none"}).rpartition(b".")[0] + b".",
        token({}, header={"alg": "None"}),
        token({}, header={"alg": "HS512"}, digest="sha512"),
        token({}, header={"alg": "hs256"}),
        token({}, header={"typ": "JWT"}),
        token({}, header={"alg": "RS256"}),
        token({}, header={"alg": ["HS256"]}),
        token({}, header={"alg": "HS256", "kid": 1}),
        token({}, header={"alg": "HS256", "crit": ["exp"], "exp": 1}),
        token({}, header={"alg": "HS256", "b64": False, "crit": ["b64"]}),
        token({}, header=[1]),
        token([]),
        token("text"),
        token({})[:-1],
        token({}) + b"x",
        token({}) + b"=",
        b"a.b.c",
        b"..",
        token({"a": "x" * 10}).replace(b".", b".A", 1),
        token({"exp": 10**400}),
    ],
)
def test_a_token_that_is_not_signed_as_agreed_is_refused(bad: bytes) -> None:
    with pytest.raises(BadToken):
        check(bad)


@pytest.mark.parametrize("kid", ["r", "e", None])
@pytest.mark.parametrize("key", [RSA, EC])
def test_a_public_key_is_never_taken_for_a_secret(key: Any, kid: str | None) -> None:
    header = {"alg": "HS256", **({} if kid is None else {"kid": kid})}
    for secret in (pem(key), pem(key).rstrip(), json.dumps(member(key)).encode()):
        with pytest.raises(BadToken):
            public_tokens().check(token(CLAIMS, header=header, secret=secret), NOW)
        both = Tokens(Keys([public_key(pem(key)), secret_key(SECRET)]), Rules())
        with pytest.raises(BadToken):
            both.check(token(CLAIMS, header=header, secret=secret), NOW)


def test_a_key_is_used_for_tokens_that_name_it_only() -> None:
    for key, kid in ((RSA, "e"), (EC, "r"), (RSA, "new")):
        with pytest.raises(UnknownKey):
            public_tokens().check(by(key, kid), NOW)


def test_an_algorithm_that_is_never_accepted_is_not_a_reason_to_look_for_keys() -> None:
    for algorithm in ("PS256", "RS512"):
        with pytest.raises(BadToken, match="algorithm") as caught:
            public_tokens().check(jwt.encode(CLAIMS, RSA, algorithm=algorithm, headers={"kid": "r"}).encode(), NOW)
        assert not isinstance(caught.value, UnknownKey)


def test_a_good_token_that_lacks_a_claim_is_forbidden_each_time() -> None:
    tokens = Tokens(Keys([secret_key(SECRET)]), Rules(required=(("role", "admin"),)))
    for _ in range(2):
        with pytest.raises(Forbidden):
            tokens.check(token(CLAIMS), NOW)
    assert tokens.check(token({"role": "admin"}), NOW)


def test_a_token_is_checked_once_and_dies_at_its_end_all_the_same() -> None:
    tokens = Tokens(Keys([secret_key(SECRET)]), Rules(leeway_s=5))
    for n in range(65):
        assert tokens.check(token(CLAIMS), NOW + n).subject == b"somebody"
    assert tokens.verified.hits == 64
    with pytest.raises(BadToken, match="expired"):
        tokens.check(token(CLAIMS), NOW + 65)


class Source:
    def __init__(self) -> None:
        self.keys = Keys()


def test_when_the_keys_change_no_token_of_theirs_is_remembered() -> None:
    source = Source()
    tokens = Tokens(Keys([secret_key(SECRET)]), Rules(), source)
    good = by(RSA, None)
    with pytest.raises(UnknownKey):
        tokens.check(good, NOW)
    source.keys = Keys([public_key(pem(RSA))])
    assert tokens.check(good, NOW)
    assert tokens.check(token(CLAIMS), NOW)
    source.keys = Keys([public_key(pem(EC))])
    with pytest.raises(UnknownKey):
        tokens.check(good, NOW)
    assert tokens.check(token(CLAIMS), NOW)


def test_a_short_secret_works_and_does_not_warn_each_time() -> None:
    assert Tokens(Keys([secret_key(b"secret")]), Rules()).check(token({"sub": "a"}, secret=b"secret"), NOW)


GOOD = {"HS256": token(CLAIMS), "RS256": by(RSA, "r"), "ES256": by(EC, "e")}


def everything() -> Tokens:
    return Tokens(Keys([secret_key(SECRET)]) + keys_of_set(key_set(member(RSA, kid="r"), member(EC, kid="e"))), Rules())


@settings(max_examples=300)
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_a_token_that_was_changed_anywhere_never_passes(algorithm: str, data: Any) -> None:
    good = GOOD[algorithm]
    tokens = everything()
    assert tokens.check(good, NOW)  # and the good one that is remembered helps no other
    at = data.draw(st.integers(0, len(good) - 1))
    kind = data.draw(st.sampled_from(["replace", "insert", "drop", "cut", "swap"]))
    octet = data.draw(st.sampled_from([*b"ABCXYZabcxyz0189-_.=+/ ~"]).map(lambda n: bytes([n])))
    bad = {
        "replace": good[:at] + octet + good[at + 1 :],
        "insert": good[:at] + octet + good[at:],
        "drop": good[:at] + good[at + 1 :],
        "cut": good[:at],
        "swap": good[:at] + good[at : at + 2][::-1] + good[at + 2 :],
    }[kind]
    if bad == good or bad.strip() == good:
        return
    with pytest.raises(Unauthorized):
        tokens.check(token_of([b"Bearer " + bad]), NOW)


@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "jwk", "x5u", "crit", "jku"]), st.sampled_from(["none", "HS256", "RS256", "r", "e"])
    ),
    st.binary(max_size=70),
)
def test_no_header_and_signature_of_a_strangers_making_pass(header: dict[str, str], signature: bytes) -> None:
    text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(CLAIMS).encode())}.{b64(signature)}"
    with pytest.raises(Unauthorized):
        everything().check(token_of([text.encode()]), NOW)


@given(st.binary(max_size=200))
def test_no_bytes_pass_and_none_are_an_error_of_ours(text: bytes) -> None:
    for authorization in (text, b"Bearer " + text):
        with pytest.raises(Unauthorized):
            everything().check(token_of([authorization]), NOW)


@given(st.lists(st.binary(max_size=40), min_size=3, max_size=3))
def test_no_bytes_in_a_tokens_shape_pass(parts: list[bytes]) -> None:
    with pytest.raises(Unauthorized):
        everything().check(token_of([".".join(map(b64, parts)).encode()]), NOW)
