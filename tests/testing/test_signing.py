"""Keys and tokens for tests."""

from typing import Any

import jwt
import pytest

from scalability.gateway.access.keys import keys_of_set
from scalability.testing.signing import SECRET, ec_key, key_set, member, pem, rsa_key, signed


@pytest.mark.parametrize(("key", "algorithm"), [(rsa_key(), "RS256"), (ec_key(), "ES256")])
def test_what_is_signed_is_checked_with_the_public_half(key: Any, algorithm: str) -> None:
    text = signed({"sub": "a"}, key, "k")
    assert jwt.get_unverified_header(text) == {"alg": algorithm, "kid": "k", "typ": "JWT"}
    assert jwt.decode(text, pem(key), algorithms=[algorithm]) == {"sub": "a"}
    (found,) = keys_of_set(key_set(member(key, kid="k")))
    assert (found.algorithm, found.kid) == (algorithm, "k")


def test_a_secret_signs_too() -> None:
    assert jwt.decode(signed({"sub": "a"}), SECRET, algorithms=["HS256"]) == {"sub": "a"}


def test_each_number_has_a_key_of_its_own() -> None:
    assert rsa_key() is rsa_key(0) is not rsa_key(1)
    assert ec_key() is ec_key(0) is not ec_key(1)
