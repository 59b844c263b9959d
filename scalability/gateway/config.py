"""The options of ``scalelab-gateway``."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from msgspec import Meta

from scalability.config import Address, Flag, Network, ServerOptions, ServiceURL
from scalability.gateway.access.config import APIKeyOptions, CorsOptions, JWTOptions
from scalability.gateway.access.key_set_url import KeySetURL
from scalability.gateway.rate_limits.config import FOR_ALL, OF_A_ROUTE, RateLimitOptions
from scalability.gateway.routing.config import RouteFlag, RouteOptions, route_of
from scalability.resp.url import RedisURL


class CacheURL(NamedTuple):
    """Where the look-aside cache is: ``http://HOST:PORT`` or ``redis://...``, shared by gateways, or ``memory:``, this process's own."""

    service: ServiceURL | None
    redis: RedisURL | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the URL. Raises ValueError, saying what is wrong."""
        if text == "memory:":
            return cls(None)
        if text.startswith(("redis:", "rediss:")):
            return cls(None, RedisURL.parse(text))
        if not text.startswith("http://"):
            # not the text itself: there may be a password in it
            raise ValueError("it is none of http://HOST:PORT, redis://HOST:PORT, rediss://HOST:PORT and memory:")
        return cls(ServiceURL.parse(text))

    def __str__(self) -> str:
        return str(self.redis or self.service or "memory:")


class RequiredClaim(NamedTuple):
    """A claim that every token must carry."""

    claim: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``CLAIM=VALUE``. Raises ValueError, saying what is wrong."""
        claim, equals, value = text.partition("=")
        if not claim or not equals:
            raise ValueError(f"{text!r} is not CLAIM=VALUE")
        return cls(claim, value)

    def __str__(self) -> str:
        return f"{self.claim}={self.value}"


class GatewayOptions(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The API gateway."""

    component: ClassVar[str] = "gateway"

    listen: Annotated[Address, Flag("HOST:PORT to accept requests on.", "HOST:PORT")] = Address("127.0.0.1", 5000)
    cache: Annotated[
        CacheURL,
        Flag(
            "Where /data is looked up first, shared by all gateways: http://HOST:PORT, or redis://[USER:PASSWORD@]HOST:PORT[,HOST:PORT...]"
            "[/DB] for Redis, Valkey or the cache server's RESP port (rediss:// for TLS; ?password_file=FILE, ?ca=FILE). memory: is this "
            "process's own.",
            "URL",
        ),
    ] = CacheURL(ServiceURL(Address("127.0.0.1", 5004)))
    database: Annotated[ServiceURL, Flag("http://HOST:PORT of the database service.", "URL")] = ServiceURL(Address("127.0.0.1", 5002))
    microservice: Annotated[ServiceURL, Flag("http://HOST:PORT of the service behind /process.", "URL")] = ServiceURL(
        Address("127.0.0.1", 5001)
    )
    worker: Annotated[ServiceURL, Flag("http://HOST:PORT of the worker behind /longtask and /tasks/<id>.", "URL")] = ServiceURL(
        Address("127.0.0.1", 5005)
    )
    ttl_s: Annotated[float, Meta(gt=0, le=315_360_000), Flag("Seconds that a value from the database stays in the cache.", "S")] = 30.0
    stale_ttl_s: Annotated[
        float,
        Meta(ge=0, le=315_360_000),
        Flag("Seconds that the last good /data value may be served while the database does not answer; 0 means not at all.", "S"),
    ] = 300.0
    ttl_jitter: Annotated[
        float,
        Meta(ge=0, lt=1),
        Flag("Share of --ttl by which lives are shortened at random, so that what was loaded together does not end together.", "SHARE"),
    ] = 0.05
    negative_ttl_s: Annotated[
        float,
        Meta(ge=0, le=315_360_000),
        Flag("Seconds that an answer of the database which says that there is nothing (null) is remembered; 0: not at all.", "S"),
    ] = 1.0
    near_ttl_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        Flag(
            "Seconds that a cached value is kept in this process too, never longer than in the cache itself; until it ends or changes "
            "where the cache tells of changes (redis://); 0: not at all.",
            "S",
        ),
    ] = 1.0
    near_max_entries: Annotated[int, Meta(ge=1), Flag("Values kept in this process at most.", "N")] = 10_000
    near_max_bytes: Annotated[
        int, Meta(ge=1024), Flag("Bytes of memory for the values kept in this process, and as many for the last good ones.", "N")
    ] = 16 << 20
    lease_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        Flag("Seconds that one gateway may read the database for all while the others wait; 0: each reads for itself.", "S"),
    ] = 2.0
    early_refresh: Annotated[
        float,
        Meta(ge=0, le=1000),
        Flag("How eagerly a value is read anew before it ends (beta of XFetch); 1 is the optimum, 0 means not before.", "BETA"),
    ] = 1.0
    cache_timeout_s: Annotated[
        float, Meta(gt=0, le=3600), Flag("Seconds after which a cache that does not answer is passed over.", "S")
    ] = 0.5
    timeout_s: Annotated[
        float, Meta(gt=0, le=3600), Flag("Seconds that the database, the microservice and the worker have for an answer.", "S")
    ] = 5.0
    health_interval_s: Annotated[
        float, Meta(gt=0, le=3600), Flag("Seconds between two looks at every dependency's /health; /health tells the result.", "S")
    ] = 5.0
    jwt_secret_file: Annotated[
        str | None,
        Flag("File with the HS256 secret; with it /data and /longtask ask for a JSON Web Token signed by that.", "FILE"),
    ] = None
    jwks_url: Annotated[
        KeySetURL | None,
        Flag("URL of a JSON Web Key Set; with it /data and /longtask ask for a token signed (RS256, ES256) with a key in that.", "URL"),
    ] = None
    jwt_require: Annotated[
        tuple[RequiredClaim, ...],
        Flag("A claim that every token must carry, else the answer is 403.", "CLAIM=VALUE"),
    ] = ()
    jwt_audience: Annotated[
        tuple[str, ...],
        Flag("A name of this service, one of which a token's aud must hold; without any, tokens for an audience are refused.", "NAME"),
    ] = ()
    jwt_issuer: Annotated[
        tuple[str, ...], Flag("Who may have issued a token (iss); without any, whoever has a key that is known here.", "NAME")
    ] = ()
    jwt_leeway_s: Annotated[float, Meta(ge=0, le=300), Flag("Seconds that the clock of who issues tokens and ours may be apart.", "S")] = (
        0.0
    )
    jwks_timeout_s: Annotated[float, Meta(gt=0, le=60), Flag("Seconds after which a key set that does not come is given up.", "S")] = 5.0
    jwks_cooldown_s: Annotated[
        float, Meta(ge=0.1, le=3600), Flag("Seconds in which unknown keys make a key set be fetched again once at most.", "S")
    ] = 10.0
    trusted_proxy: Annotated[
        tuple[Network, ...],
        Flag(
            "A network (CIDR) or address of proxies in front of this one, the balancer say, whose X-Forwarded-For is believed: rate limits "
            "count the client that it names, and the servers of routes are told of it.",
            "CIDR",
        ),
    ] = ()
    cors: Annotated[CorsOptions | None, Flag("Which pages may read what the gateway's own paths answer.", flag=False)] = None
    api_keys: Annotated[APIKeyOptions | None, Flag("The API keys that /data and /longtask ask for.", flag=False)] = None
    rate_limit: Annotated[
        RateLimitOptions | None, Flag("How many requests may come, to all paths but /health and /metrics together.", flag=False)
    ] = None
    rate_limit_store: Annotated[
        Literal["memory", "shared"],
        Flag(
            "Where rate limits count: memory, each gateway for itself, or shared, all gateways together, on the server of "
            "--cache redis://HOST:PORT.",
            "memory|shared",
        ),
    ] = "memory"
    rate_limit_timeout_s: Annotated[
        float,
        Meta(ge=0.005, le=60),
        Flag("Seconds that a request waits for shared limits; after that this gateway's own count.", "S"),
    ] = 0.1

    route: Annotated[
        tuple[RouteFlag, ...],
        Flag(
            "A path that a server answers, with all below it, through an HTTP cache: /shop=http://HOST:PORT. The longest prefix of whole "
            "segments wins, after the gateway's own paths. What more a route can have stands in the TOML file, as [[gateway.routes]].",
            "PREFIX=URL",
        ),
    ] = ()
    routes: Annotated[tuple[RouteOptions, ...], Flag("Routes, each a table.", "TABLES", flag=False)] = ()
    no_docs: Annotated[
        bool, Flag("Do not describe the gateway's own API: neither /openapi.json nor the page /docs, which tell the prefixes of routes.")
    ] = False

    admin_token_file: Annotated[
        Path | None,
        Flag(
            "File with a token of 16 characters or more: whoever sends it as Authorization: Bearer TOKEN to the admin listener may purge "
            "the HTTP cache. Without it nobody may.",
            "FILE",
        ),
    ] = None

    access_log: Annotated[
        Path | None,
        Flag(
            "File that gets one line for each request, in batches of up to a second. Opened anew on SIGUSR1 and after it was renamed.",
            "FILE",
        ),
    ] = None
    access_log_format: Annotated[
        Literal["json", "common"],
        Flag("How the lines of the access log look: JSON, or the Common Log Format.", "json|common"),
    ] = "json"

    cache_max_bytes: Annotated[int, Meta(ge=1 << 16, le=1 << 50), Flag("Bytes of memory for the HTTP cache of routes.", "N")] = 256 << 20
    cache_max_object_bytes: Annotated[
        int, Meta(ge=0, le=1 << 40), Flag("Bytes of the largest answer's body that the HTTP cache stores; larger ones pass unstored.", "N")
    ] = 8 << 20

    @property
    def all_routes(self) -> tuple[RouteOptions, ...]:
        """Those of flags, then those of the file."""
        return (*map(route_of, self.route), *self.routes)

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for route in self.all_routes:
            if route.path in seen:
                raise ValueError(f"routes: {route.path} has two routes")
            seen.add(route.path)
            if self.rate_limit is not None and route.rate_limit is not None:
                both = self.rate_limit.names(FOR_ALL) & route.rate_limit.names(OF_A_ROUTE)
                if both:
                    raise ValueError(f"routes: {route.path} has a limit {min(both)}, as all requests have: call it otherwise")
        if self.rate_limit_store == "shared" and not str(self.cache).startswith(("redis://", "rediss://")):
            raise ValueError("rate-limit-store: shared limits need a server of Redis' kind: --cache redis://HOST:PORT")
        if self.jwt_secret_file is None and self.jwks_url is None:
            for name, value in (("require", self.jwt_require), ("audience", self.jwt_audience), ("issuer", self.jwt_issuer)):
                if value:
                    raise ValueError(f"jwt-{name}: there are no tokens without --jwt-secret-file or --jwks-url")

    def jwt(self) -> JWTOptions | None:
        """What the flags say of tokens, None when none are asked for."""
        if self.jwt_secret_file is None and self.jwks_url is None:
            return None
        return JWTOptions(
            secret_file=self.jwt_secret_file,
            jwks_url=None if self.jwks_url is None else str(self.jwks_url),
            require=tuple(map(str, self.jwt_require)),
            audiences=self.jwt_audience,
            issuers=self.jwt_issuer,
            leeway_s=self.jwt_leeway_s,
        )
