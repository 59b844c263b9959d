"""Who may pass."""

import base64
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.errors import Forbidden, Unauthorized
from scalability.gateway.config import RequiredClaim
from scalability.gateway.tokens import Tokens, challenge

SECRET = b"0123456789abcdef0123456789abcdef"
NOW = 1_700_000_000.0


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(claims: Any, *, header: Any = None, secret: bytes = SECRET, digest: str = "sha256") -> str:
    """Signed here by hand, so that anything can be signed."""
    signed = b64(json.dumps(header or {"alg": "HS256", "typ": "JWT"}).encode()) + "." + b64(json.dumps(claims).encode())
    return signed + "." + b64(hmac.new(secret, signed.encode(), digest).digest())


def check(*authorization: str, required: tuple[RequiredClaim, ...] = (), secret: bytes = SECRET) -> dict[str, Any]:
    return Tokens(secret, required).check(authorization, NOW)


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  ", ""])
def test_a_good_token_passes_with_the_scheme_and_bare(scheme: str) -> None:
    assert check(scheme + token({"sub": "a"})) == {"sub": "a"}


def test_without_a_token_there_is_a_challenge_without_an_error_code() -> None:
    with pytest.raises(Unauthorized) as caught:
        check()
    assert (caught.value.status, challenge(caught.value, given=False)) == (401, b'Bearer realm="scalelab"')


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "nonsense", "Bearer a b", "Token " + "a.b.c"])
def test_what_is_no_token_is_refused(authorization: str) -> None:
    with pytest.raises(Unauthorized):
        check(authorization)


@pytest.mark.parametrize(
    "bad",
    [
        token({}, secret=b"another secret, as long as the first"),
        token({}, header={"alg": "none"}),
        token({}, header={"alg": "none"}).rpartition(".")[0] + ".",
        token({}, header={"alg": "HS512"}, digest="sha512"),
        token({}, header={"alg": "hs256"}),
        token({}, header={"typ": "JWT"}),
        token({}, header={"alg": "RS256"}),
        token({}, header=[1]),
        token([]),
        token("text"),
        token({})[:-1],
        token({}) + "x",
        "a.b.c",
        "..",
        token({"a": "x" * 10}).replace(".", ".A", 1),
    ],
)
def test_a_token_that_is_not_signed_as_agreed_is_refused(bad: str) -> None:
    with pytest.raises(Unauthorized) as caught:
        check("Bearer " + bad)
    assert challenge(caught.value, given=True) == b'Bearer realm="scalelab", error="invalid_token"'


def test_time_is_that_of_the_clock() -> None:
    assert check(token({"exp": NOW + 1, "nbf": NOW, "iat": NOW + 100}))
    for claims in ({"exp": NOW}, {"exp": NOW - 1}, {"nbf": NOW + 1}):
        with pytest.raises(Unauthorized):
            check(token(claims))


@pytest.mark.parametrize("value", ["never", None, True, [], {}, float("nan"), float("inf"), str(NOW + 10)])
@pytest.mark.parametrize("name", ["exp", "nbf"])
def test_a_time_that_is_no_time_is_refused(name: str, value: object) -> None:
    with pytest.raises(Unauthorized):
        check(token({name: value}))


def test_two_authorization_fields_are_refused() -> None:
    with pytest.raises(Unauthorized):
        check(token({}), token({}))


@pytest.mark.parametrize(
    ("claims", "required"),
    [
        ({"role": "admin"}, "role=admin"),
        ({"role": ["user", "admin"]}, "role=admin"),
        ({"admin": True}, "admin=true"),
        ({"level": 3}, "level=3"),
        ({"scope": "read data"}, "scope=data"),
        ({"aud": "scalelab"}, "aud=scalelab"),
        ({"aud": ["other", "scalelab"]}, "aud=scalelab"),
    ],
)
def test_a_token_with_the_needed_claim_passes(claims: dict[str, Any], required: str) -> None:
    assert check(token(claims), required=(RequiredClaim.parse(required),)) == claims


@pytest.mark.parametrize(
    ("claims", "required"),
    [
        ({}, "role=admin"),
        ({"role": "user"}, "role=admin"),
        ({"role": "admin user"}, "role=admin"),
        ({"role": None}, "role=None"),
        ({"role": {"admin": 1}}, "role=admin"),
        ({"role": []}, "role="),
        ({"admin": True}, "admin=1"),
        ({"admin": "True"}, "admin=true"),
        ({"aud": "other"}, "aud=scalelab"),
    ],
)
def test_a_token_without_the_needed_claim_is_forbidden(claims: dict[str, Any], required: str) -> None:
    with pytest.raises(Forbidden) as caught:
        check(token(claims), required=(RequiredClaim.parse(required),))
    assert (caught.value.status, challenge(caught.value, given=True)) == (403, b'Bearer realm="scalelab", error="insufficient_scope"')


def test_every_required_claim_is_needed() -> None:
    required = (RequiredClaim("a", "1"), RequiredClaim("b", "2"))
    assert check(token({"a": "1", "b": "2"}), required=required)
    with pytest.raises(Forbidden):
        check(token({"a": "1"}), required=required)


def test_a_token_for_somebody_else_is_refused() -> None:
    with pytest.raises(Unauthorized, match="audience"):
        check(token({"aud": "other"}))


def test_a_short_secret_works_and_does_not_warn_each_time() -> None:
    assert check(token({"sub": "a"}, secret=b"secret"), secret=b"secret")


@given(st.text(max_size=200))
def test_no_text_passes_and_none_is_an_error_of_ours(text: str) -> None:
    for authorization in (text, "Bearer " + text):
        with pytest.raises(Unauthorized):
            check(authorization)


@given(st.lists(st.binary(max_size=40), min_size=3, max_size=3))
def test_no_bytes_in_a_tokens_shape_pass(parts: list[bytes]) -> None:
    with pytest.raises(Unauthorized):
        check(".".join(map(b64, parts)))
