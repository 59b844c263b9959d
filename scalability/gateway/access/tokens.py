"""JSON Web Tokens: found by their key, checked by PyJWT with the algorithm of that key, remembered for a while."""

import base64
import binascii
import warnings
from typing import Any, Final, Protocol

import jwt
import msgspec
from jwt.warnings import InsecureKeyLengthWarning

from scalability.gateway.access.bearer import BadToken
from scalability.gateway.access.claims import Rules, Verified
from scalability.gateway.access.keys import ES256, HS256, RS256, Keys
from scalability.gateway.access.verified import MAX_VERIFIED, VerifiedTokens

ALGORITHMS: Final = frozenset((HS256, RS256, ES256))

NO_KEYS: Final = Keys()

_OPTIONS: Final[Any] = {
    f"verify_{name}": False
    # these are checked by us: PyJWT reads the wall clock and lets NaN pass
    for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
}


class UnknownKey(BadToken):
    """The token is signed with a key that is not known here."""


class KeySource(Protocol):
    """Keys that change: another object after each change, the same one as long as there is none."""

    keys: Keys


class _Header(msgspec.Struct):
    """The part of a token's header that chooses the key."""

    alg: str
    kid: str | None = None


class Tokens:
    """Checks tokens against ``fixed`` keys and those of a ``source``."""

    def __init__(self, fixed: Keys, rules: Rules, source: KeySource | None = None, *, max_verified: int = MAX_VERIFIED) -> None:
        self._fixed = fixed
        self._rules = rules
        self._source = source
        self._changing = NO_KEYS
        self._keys = fixed
        self.verified: VerifiedTokens[Verified] = VerifiedTokens(max_verified)
        self._header = msgspec.json.Decoder(_Header)
        # Said once, at the start, by whoever makes this; PyJWT would say it for every token.
        warnings.filterwarnings("ignore", category=InsecureKeyLengthWarning)

    def covers(self, other: "Tokens") -> bool:
        """Whether a token that is good here is good for ``other``: the same keys, and rules that ask no less."""
        return self._fixed is other._fixed and self._source is other._source and self._rules.covers(other._rules)

    def check(self, token: bytes, now: float) -> Verified:
        """What ``token`` says. ``now`` is in unix seconds.

        Raises BadToken (UnknownKey: other keys might help), Forbidden when it lacks a required claim.
        """
        source = self._source
        if source is not None and source.keys is not self._changing:
            self._changing = source.keys
            self._keys = self._fixed + source.keys
            self.verified.forget()
        verified = self.verified.get(token, now)
        if verified is None:
            verified = self._rules.check(self._claims(token), now)
            self.verified.keep(token, verified.good_from, verified.good_until, verified)
        return verified

    def _claims(self, token: bytes) -> dict[str, Any]:
        header = self._read_header(token)
        if header.alg not in ALGORITHMS:
            raise BadToken("tokens with this algorithm are not accepted here")
        keys = self._keys.for_token(header.alg, header.kid)
        if not keys:
            # secrets are never fetched: another look would not find this one
            raise BadToken if header.alg == HS256 else UnknownKey
        for key in keys:
            try:
                # what the key is for decides, not the token: PyJWT refuses one that says another algorithm
                claims: dict[str, Any] = jwt.decode(token, key.material, algorithms=[key.algorithm], options=_OPTIONS)
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ValueError, RecursionError) as error:
                raise BadToken from error
            return claims
        raise BadToken

    def _read_header(self, token: bytes) -> _Header:
        part = token.partition(b".")[0]
        try:
            return self._header.decode(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
        except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, RecursionError) as error:
            raise BadToken from error
