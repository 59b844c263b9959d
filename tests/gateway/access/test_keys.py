"""Keys for tokens."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from scalability.gateway.access.keys import MAX_KEYS, Keys, keys_of_set, public_key, secret_key
from scalability.testing.certificates import Authority
from scalability.testing.signing import ec_key, key_set, member, pem, rsa_key

RSA = rsa_key()
WEAK = rsa_key(bits=1024)
EC = ec_key()
P384 = ec.generate_private_key(ec.SECP384R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()


def found(*members: Any) -> list[tuple[str, str | None]]:
    return [(key.algorithm, key.kid) for key in keys_of_set(key_set(*members))]


def test_the_kind_of_a_key_decides_its_algorithm() -> None:
    assert found(member(RSA, kid="r", use="sig"), member(EC, kid="e", alg="ES256", key_ops=["verify"]), member(RSA)) == [
        ("RS256", "r"),
        ("ES256", "e"),
        ("RS256", None),
    ]


@pytest.mark.parametrize(
    "other",
    [
        {},
        1,
        None,
        {"kty": "oct", "k": "c2VjcmV0", "kid": "s", "alg": "HS256"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kty": "unheard of"},
        {"kty": ["RSA"]},
        {"kty": "RSA"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "n": "", "e": ""},
        {"kty": "RSA", "n": "\u00e4", "e": "AQAB"},
        {"kty": "RSA", "n": 1, "e": 2},
        {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43},
        member(P384),
        member(WEAK),
        member(RSA, use="enc"),
        member(RSA, key_ops=["sign"]),
        member(RSA, key_ops="verify"),
        member(RSA, alg="RS512"),
        member(RSA, alg="HS256"),
        member(RSA, alg="none"),
        member(EC, alg="RS256"),
        member(RSA, kid=1),
        member(RSA, kid="k" * 257),
    ],
)
def test_keys_of_other_kinds_are_passed_over(other: Any) -> None:
    assert found(other, member(EC, kid="good")) == [("ES256", "good")]


def test_a_private_key_that_was_published_is_used_as_the_public_one_it_holds() -> None:
    published: Any = RSAAlgorithm.to_jwk(RSA, as_dict=True)
    (key,) = keys_of_set(key_set({**published, "key_ops": ["sign", "verify"]}))
    assert isinstance(key.material, rsa.RSAPublicKey)


def test_a_set_has_a_bound() -> None:
    assert len(found(*[{}] * (MAX_KEYS - 1), member(EC, kid="last"), member(EC, kid="one too many"))) == 1


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b"{}", b'{"keys": 1}', b'{"keys": {}}', b"\xff", b"[" * 100_000])
def test_what_is_no_key_set_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match="is not"):
        keys_of_set(document)


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["RSA", "EC", "P-256", "AQAB", "A" * 43]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kty", "n", "e", "crv", "x", "y", "kid", "use"]), inner),
    max_leaves=12,
)


@given(JSON)
def test_no_document_is_an_error_of_ours(content: Any) -> None:
    keys_of_set(key_set(content))


def test_a_public_key_or_a_certificate_is_read_from_pem() -> None:
    assert public_key(pem(RSA)).algorithm == "RS256"
    assert public_key(pem(EC)).algorithm == "ES256"
    assert public_key(Authority().pem).algorithm == "ES256"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "neither a public key nor a certificate"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "neither a public key nor a certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "neither a public key nor a certificate"),
        (pem(WEAK), "1024 bits"),
        (pem(P384), "curve P-256"),
        (pem(EDWARDS), "curve P-256"),
        (RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "is a private key"),
    ],
)
def test_what_is_no_public_key_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        public_key(text)


@pytest.mark.parametrize("secret", [pem(RSA), pem(EC), b" " + pem(RSA), b"ssh-rsa AAAA", json.dumps(member(RSA)).encode()])
def test_a_public_key_is_no_secret(secret: bytes) -> None:
    with pytest.raises(ValueError, match="of another kind"):
        secret_key(secret)


def test_a_secret_is_not_empty_and_is_never_shown() -> None:
    with pytest.raises(ValueError, match="is empty"):
        secret_key(b"")
    assert "hush" not in repr(secret_key(b"hush"))


def test_a_token_finds_the_keys_of_its_algorithm_and_name() -> None:
    secret = secret_key(b"hush")
    keys = Keys([secret]) + keys_of_set(key_set(member(RSA, kid="r"), member(EC, kid="e"), member(RSA)))
    assert [key.kid for key in keys.for_token("RS256", "r")] == ["r", None]
    assert [key.kid for key in keys.for_token("RS256", None)] == ["r", None]
    assert keys.for_token("ES256", "r") == []
    assert keys.for_token("HS256", "anything") == [secret]
    assert keys.for_token("none", None) == []
    assert len(Keys([secret] * 100).for_token("HS256", None)) == 4
    assert (len(keys), keys.algorithms) == (4, frozenset(("HS256", "RS256", "ES256")))
