"""What ``--route`` and a table ``[[gateway.routes]]`` may say: one member for each feature, whose own module says more."""

from typing import Annotated, NamedTuple, Self

import msgspec
from msgspec import Meta

from scalability.config import ServiceURL
from scalability.gateway.access.config import APIKeyOptions, CorsOptions, JWTOptions
from scalability.gateway.compose.config import ComposeOptions
from scalability.gateway.http_cache.config import CacheOptions
from scalability.gateway.openapi.config import ValidateOptions
from scalability.gateway.rate_limits.config import RateLimitOptions
from scalability.gateway.routing.upstream_options import HealthOptions, UpstreamOptions
from scalability.gateway.transform.config import CompressionOptions, RewriteOptions
from scalability.upstream.discovery import Backend


class Prefix(NamedTuple):
    """The path that a route serves with all below it, as its whole segments: ``/shop`` takes ``/shop/a`` and not ``/shopping``."""

    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``/`` or ``/SEGMENT/...``; a slash at the end has no meaning. Raises ValueError, saying what is wrong."""
        if not text.startswith("/") or not text.isascii() or not text.isprintable() or any(mark in text for mark in ' ?#"<>\\^`{|}'):
            raise ValueError(f"{text!r} is not a path that begins with / and has no query")
        path = text.rstrip("/")
        segments = path.split("/")[1:]
        if any(segment in ("", ".", "..") for segment in segments):
            raise ValueError(f"{text!r} has an empty segment, or one of dots alone")
        return cls(path or "/")

    def __str__(self) -> str:
        return self.path


class RouteFlag(NamedTuple):
    """``--route``: a prefix and the one server behind it."""

    prefix: str
    url: ServiceURL

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``PREFIX=http://HOST:PORT``. Raises ValueError, saying what is wrong."""
        prefix, equals, url = text.partition("=")
        if not equals:
            raise ValueError(f"{text!r} is not PREFIX=URL, as /shop=http://127.0.0.1:8080")
        return cls(Prefix.parse(prefix).path, ServiceURL.parse(url))

    def __str__(self) -> str:
        return f"{self.prefix}={self.url}"


class RouteOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One route. It has ``servers``, or the ``url`` of one, or it is composed of others."""

    prefix: str
    servers: tuple[str, ...] = ()
    """As --backend of the balancer: HOST:PORT, dns:NAME:PORT, dns+srv:NAME, file:PATH, with the same words behind."""
    url: str | None = None
    """``http://HOST:PORT``: short for one server."""
    strip_prefix: bool = False
    """Whether the servers are asked for the path without the prefix."""
    rewrite: RewriteOptions | None = None
    compression: CompressionOptions | None = None
    """Bodies are compressed where clients like that; off without the table."""
    validate: ValidateOptions | None = None
    """Requests are checked by an OpenAPI document."""
    compose: ComposeOptions | None = None
    """The route has no servers, but parts that other routes answer."""
    cors: CorsOptions | None = None
    """Which pages of other origins may ask, and read what is answered."""
    max_body: Annotated[int, Meta(ge=0, le=1 << 40)] | None = None
    """Bytes that a request's body may have."""
    api_keys: APIKeyOptions | None = None
    jwt: JWTOptions | None = None
    rate_limit: RateLimitOptions | None = None
    cache: CacheOptions = CacheOptions()
    health: HealthOptions = HealthOptions()
    upstream: UpstreamOptions = UpstreamOptions()

    def __post_init__(self) -> None:
        Prefix.parse(self.prefix)
        if self.compose is not None:
            if self.url is not None or self.servers or self.strip_prefix:
                raise ValueError("a route that is composed has no servers of its own")
            return
        if (self.url is None) is not bool(self.servers):
            raise ValueError("a route needs servers, or the url of one, and not both")
        if self.strip_prefix and self.rewrite is not None and self.rewrite.replace_prefix is not None:
            raise ValueError("strip_prefix and rewrite.replace_prefix exclude each other")
        seen: set[str] = set()
        for backend in self.backends:
            if backend.place in seen:
                raise ValueError(f"servers: {backend.place} is named twice; give it a weight instead")
            seen.add(backend.place)

    @property
    def path(self) -> str:
        """The prefix without a slash at its end; ``/`` for all paths."""
        return Prefix.parse(self.prefix).path

    @property
    def backends(self) -> tuple[Backend, ...]:
        """What its servers are, or are found by."""
        if self.url is not None:
            return (Backend.parse(str(ServiceURL.parse(self.url).address)),)
        return tuple(Backend.parse(server) for server in self.servers)


def route_of(flag: RouteFlag) -> RouteOptions:
    """The route that ``--route`` means: with all that is there by default."""
    return RouteOptions(prefix=flag.prefix, url=str(flag.url))
