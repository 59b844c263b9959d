"""Keys, key sets and tokens for tests: made once, signed with whatever a test likes."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

SECRET = b"0123456789abcdef0123456789abcdef"
"""Of HS256."""


def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The same one for the same ``number``."""
    return _rsa_key(number, bits)


def ec_key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    """The same one for the same ``number``, on P-256."""
    return _ec_key(number)


# a cache takes f() and f(0) for two calls
@cache
def _rsa_key(number: int, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def _ec_key(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> bytes:
    """The public half of ``key``."""
    return bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def member(key: Any, **more: Any) -> dict[str, Any]:
    """The public half of ``key`` as a member of a key set, with ``more`` members of its own."""
    maker: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**maker.to_jwk(key.public_key(), as_dict=True), **more}


def key_set(*members: Any) -> bytes:
    """A JSON Web Key Set."""
    return json.dumps({"keys": members}).encode()


def signed(claims: Mapping[str, Any], key: Any = SECRET, kid: str | None = None) -> str:
    """A token, signed with the algorithm that goes with the kind of ``key``."""
    algorithm = "HS256" if isinstance(key, bytes) else "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    return jwt.encode(dict(claims), key, algorithm=algorithm, headers={} if kid is None else {"kid": kid})
