"""Tokens in requests, and challenges."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.errors import Forbidden, NotFound, Unauthorized
from scalability.gateway.access.bearer import MAX_TOKEN_BYTES, BadToken, NoToken, challenge, token_of

TOKEN = b"aGVhZA.cGF5bG9hZA.c2ln"


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER  ", b"", b"Bearer\t"])
def test_a_token_stands_behind_its_scheme_or_bare(scheme: bytes) -> None:
    assert token_of([scheme + TOKEN]) == TOKEN


@pytest.mark.parametrize("authorization", [[], [b""], [b"Basic dXNlcjpwYXNz"], [b"nonsense"], [b"Token " + TOKEN]])
def test_what_is_another_scheme_is_no_token(authorization: list[bytes]) -> None:
    with pytest.raises(NoToken, match="Authorization: Bearer <jwt>"):
        token_of(authorization)


@pytest.mark.parametrize(
    "authorization",
    [
        [TOKEN, TOKEN],
        [b"Bearer"],
        [b"Bearer a b"],
        [b"Bearer a.b"],
        [b"Bearer " + TOKEN + b"="],
        [b"Bearer .."],
        [b".."],
        [b"Bearer a.b."],
        [b"Bearer a.b.c.d"],
        [b"Bearer \xff.b.c"],
        [b"Bearer " + b"a" * (MAX_TOKEN_BYTES - 3) + b".b.c"],
    ],
)
def test_what_cannot_be_a_token_is_refused(authorization: list[bytes]) -> None:
    with pytest.raises(BadToken):
        token_of(authorization)


@given(st.lists(st.binary(max_size=60), max_size=2))
def test_no_bytes_are_an_error_of_ours(authorization: list[bytes]) -> None:
    with suppress(Unauthorized):
        token_of(authorization)


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (NoToken(), b'Bearer realm="scalelab"'),
        (BadToken(), b'Bearer realm="scalelab", error="invalid_token", error_description="The token is not valid."'),
        (BadToken('"\\\r\n\u00e4'), b'Bearer realm="scalelab", error="invalid_token", error_description="?????"'),
        (Forbidden("no"), b'Bearer realm="scalelab", error="insufficient_scope", error_description="no"'),
        (NotFound(), None),
    ],
)
def test_the_challenge_says_what_is_wrong(error: Any, wanted: bytes | None) -> None:
    assert challenge(error) == wanted


def test_the_challenge_names_the_scope_that_is_needed() -> None:
    wanted = b'Bearer realm="scalelab", error="insufficient_scope", error_description="no", scope="read write"'
    assert challenge(Forbidden("no"), "read write") == wanted
