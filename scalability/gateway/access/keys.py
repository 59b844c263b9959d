"""Keys that tokens are checked with. Each is made for one algorithm, and is never used with another, whatever a token says.

RS256 and ES256 keys are public: from PEM, or from a JSON Web Key Set (RFC 7517). HS256 keys are secrets: from a file of their own, never
from a key set, which anybody may read. What looks like a public key is refused as a secret: whoever knows it could sign.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt import InvalidKeyError
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

HS256: Final = "HS256"
RS256: Final = "RS256"
ES256: Final = "ES256"

MIN_SECRET_BYTES: Final = 32
"""RFC 7518 section 3.2: a key as long as the hash, or longer."""
MIN_RSA_BITS: Final = 2048
"""RFC 7518 section 3.3."""
MAX_RSA_BITS: Final = 8192
"""Checking costs the square of this; nobody has longer ones."""
MAX_KEYS: Final = 100
"""Of a key set; further ones are not looked at."""
MAX_KID: Final = 256
"""Characters of a key's name."""
MAX_TRIED: Final = 4
"""Keys that a token which names none is tried with."""

_PUBLIC: Final = (b"-----BEGIN", b"ssh-", b"ecdsa-sha2-", b'"kty"')


class Key:
    """A key, the one algorithm that it is for, and its name (``kid``) where it has one."""

    __slots__ = ("algorithm", "kid", "material")

    def __init__(self, algorithm: str, material: Any, kid: str | None = None) -> None:
        self.algorithm: Final = algorithm
        self.material: Final = material
        """Bytes of a secret, or a public key of cryptography's."""
        self.kid: Final = kid

    def __repr__(self) -> str:
        return f"<Key {self.algorithm} {self.kid!r}>"  # never the secret


class Keys:
    """All keys that a token may be signed with."""

    __slots__ = ("_all", "algorithms")

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._all = tuple(keys)
        self.algorithms = frozenset(key.algorithm for key in self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Any:
        return iter(self._all)

    def __add__(self, others: "Keys") -> "Keys":
        return Keys((*self._all, *others._all))

    def for_token(self, algorithm: str, kid: str | None) -> Sequence[Key]:
        """The keys of ``algorithm`` that may have signed a token which names ``kid``; at most ``MAX_TRIED``.

        A key without a name may have signed any token, and a token without one may have been signed by any key.
        """
        keys = [key for key in self._all if key.algorithm == algorithm and (kid is None or key.kid is None or key.kid == kid)]
        return keys[:MAX_TRIED]


def secret_key(secret: bytes) -> Key:
    """An HS256 key. Raises ValueError for an empty one, and for what is a public key."""
    if not secret:
        raise ValueError("is empty")
    if any(mark in secret for mark in _PUBLIC):
        raise ValueError("is a key of another kind, not a secret: whoever knows the public half of it could sign tokens")
    return Key(HS256, secret)


def public_key(pem: bytes) -> Key:
    """The public key, or that of the certificate, in ``pem``: RS256 or ES256, as its kind says. Raises ValueError, saying what is wrong."""
    if b"PRIVATE KEY" in pem:
        raise ValueError("is a private key: only who signs tokens should have it")
    try:
        key = load_pem_x509_certificate(pem).public_key() if b"BEGIN CERTIFICATE" in pem else load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("is neither a public key nor a certificate in PEM") from error
    return _of(key, None)


def keys_of_set(document: bytes) -> Keys:
    """The keys of a JSON Web Key Set that tokens can be checked with. Raises ValueError when it is not one.

    Keys of other kinds, for other uses or algorithms, too short or malformed are passed over (RFC 7517 section 5), and symmetric ones too.
    """
    try:
        found = msgspec.json.decode(document)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError("is not JSON") from error
    members = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(members, list):
        raise ValueError("is not a JSON Web Key Set")
    keys = [_of_member(member) for member in members[:MAX_KEYS] if isinstance(member, dict)]
    return Keys(key for key in keys if key is not None)


def _of_member(member: Mapping[str, Any]) -> Key | None:
    kid, uses = member.get("kid"), member.get("key_ops")
    if kid is not None and (not isinstance(kid, str) or len(kid) > MAX_KID):
        return None
    if member.get("use", "sig") != "sig" or (uses is not None and not (isinstance(uses, list) and "verify" in uses)):
        return None
    # only what is public: from_jwk would make a private key of one that was published by mistake
    public = {name: member[name] for name in ("kty", "n", "e", "crv", "x", "y") if isinstance(member.get(name), str)}
    try:
        if public.get("kty") == "RSA":
            key = _of(RSAAlgorithm.from_jwk(public), kid)
        elif public.get("kty") == "EC":
            key = _of(ECAlgorithm.from_jwk(public), kid)
        else:
            return None
    except (InvalidKeyError, ValueError, UnsupportedAlgorithm):
        return None
    return key if member.get("alg", key.algorithm) == key.algorithm else None


def _of(key: Any, kid: str | None) -> Key:
    if isinstance(key, RSAPublicKey):
        if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            raise ValueError(f"is an RSA key of {key.key_size} bits; RS256 asks for {MIN_RSA_BITS} at least")
        return Key(RS256, key, kid)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return Key(ES256, key, kid)
    raise ValueError("is neither an RSA key nor one on the curve P-256")
