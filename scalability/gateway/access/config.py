"""What the tables ``jwt``, ``api_keys`` and ``cors`` may say."""

import re
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from scalability.config.named_file import read_named
from scalability.errors import ConfigError
from scalability.gateway.access.cors import ANY, NULL, ORIGIN, Cors
from scalability.gateway.access.key_set_url import KeySetURL
from scalability.gateway.access.keys import Key, public_key, secret_key

MAX_KEY_FILE_BYTES = 64 << 10

_FIELD = re.compile(r"[!#$%&'*+\-.^`|~0-9A-Za-z]{1,64}")
_PARAMETER = re.compile(r"[A-Za-z0-9_.~-]{1,64}")
_OF_THE_MESSAGE = frozenset(
    "connection content-length content-type cookie expect host te trailer transfer-encoding upgrade via".split()  # noqa: SIM905
)
"""Fields that are not there to be taken away, or made up."""


def check_field(name: str) -> str:
    """``name``. Raises ValueError when it cannot be that of a field of ours."""
    if _FIELD.fullmatch(name) is None or name.lower() in _OF_THE_MESSAGE:
        raise ValueError(f"{name!r} is no name of a field that could be used for this")
    return name


class JWTOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"leeway_s": "leeway"}):
    """Without ``secret_file``, ``public_key_files`` and ``jwks_url`` the keys are those of the gateway (--jwt-secret-file, --jwks-url)."""

    secret_file: str | None = None
    public_key_files: tuple[str, ...] = ()
    """PEM: an RSA key checks RS256, one on P-256 checks ES256."""
    jwks_url: str | None = None
    require: tuple[str, ...] = ()
    """``CLAIM=VALUE``, each of which a token must carry, else 403."""
    audiences: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    leeway_s: Annotated[float, Meta(ge=0, le=300)] = 0.0
    """Seconds that the issuer's clock and ours may be apart."""
    subject_field: str = "X-Subject"
    """In which the servers behind are told the token's ``sub``; empty: they are not. Clients' own never pass."""
    forward: bool = False
    """Whether the servers behind get the token too."""

    def __post_init__(self) -> None:
        if self.jwks_url is not None:
            KeySetURL.parse(self.jwks_url)
        if self.subject_field:
            check_field(self.subject_field)
        self.required()

    def required(self) -> list[tuple[str, str]]:
        """Claims and their values. Raises ValueError."""
        pairs = [text.partition("=") for text in self.require]
        if not all(claim and equals for claim, equals, _ in pairs):
            raise ValueError("require: write CLAIM=VALUE")
        return [(claim, value) for claim, _, value in pairs]

    @property
    def has_keys(self) -> bool:
        """Whether it names keys of its own."""
        return self.secret_file is not None or bool(self.public_key_files) or self.jwks_url is not None

    def fixed_keys(self, option: str) -> list[Key]:
        """The keys from files. Raises ConfigError that names ``option``. Blocks."""
        keys = [] if self.secret_file is None else [read_secret(self.secret_file, option)]
        return [*keys, *(read_public_key(file, option) for file in self.public_key_files)]


class APIKeyOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who has a key in ``file`` may pass; tools/apikey.py makes them."""

    file: str
    field: str = "X-API-Key"
    parameter: str = ""
    """Of the query, where a key may stand too; empty: it may not. Query strings end up in histories and logs of others."""
    consumer_field: str = "X-Consumer"
    """In which the servers behind are told whose key it was; empty: they are not. Clients' own never pass."""
    forward: bool = False
    """Whether the servers behind get the key too."""

    def __post_init__(self) -> None:
        check_field(self.field)
        if self.consumer_field:
            check_field(self.consumer_field)
        if self.parameter and _PARAMETER.fullmatch(self.parameter) is None:
            raise ValueError(f"parameter: {self.parameter!r} is no name of a parameter")


class CorsOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"max_age_s": "max_age"}):
    """Which pages may read answers, by their origin; ``["*"]``: all of them, without credentials."""

    origins: Annotated[tuple[str, ...], Meta(min_length=1, max_length=1000)]
    methods: tuple[str, ...] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    headers: tuple[str, ...] = ("Accept", "Authorization", "Content-Type", "X-API-Key")
    """Fields of requests that pages may set; ``["*"]``: any."""
    expose: tuple[str, ...] = ("RateLimit", "RateLimit-Policy", "Retry-After")
    """Fields of answers that pages may read besides those that all may."""
    credentials: bool = False
    """Whether the browser may send cookies and the like, and pages read what comes back."""
    max_age_s: Annotated[int, Meta(ge=0, le=86_400)] = 600
    """Seconds that a browser may remember what it may ask."""

    def __post_init__(self) -> None:
        for origin in self.origins:
            if origin not in (ANY, NULL) and ORIGIN.fullmatch(origin) is None:
                raise ValueError(f"origins: {origin!r} is not as browsers write it: https://app.example, without a path")
        for name in (*self.methods, *self.headers, *self.expose):
            if _FIELD.fullmatch(name) is None:
                raise ValueError(f"{name!r} is no name")
        if ANY in self.expose and self.credentials:
            raise ValueError("expose: with credentials a star is a name like any other")
        self.cors()

    def cors(self) -> Cors:
        """The same, ready to be asked."""
        return Cors(
            self.origins,
            methods=self.methods,
            headers=self.headers,
            expose=self.expose,
            credentials=self.credentials,
            max_age_s=self.max_age_s,
        )


def read_secret(file: str, option: str = "--jwt-secret-file") -> Key:
    """The HS256 key in ``file``, without a line end at its end. Raises ConfigError that names ``option``."""
    try:
        return secret_key(_read(file, option).rstrip(b"\r\n"))
    except ValueError as error:
        raise ConfigError(option, f"{file} {error}") from error


def read_public_key(file: str, option: str) -> Key:
    """The key, or the certificate's, in ``file``. Raises ConfigError that names ``option``."""
    try:
        return public_key(_read(file, option))
    except ValueError as error:
        raise ConfigError(option, f"{file} {error}") from error


def _read(file: str, option: str) -> bytes:
    return read_named(option, Path(file), MAX_KEY_FILE_BYTES)
