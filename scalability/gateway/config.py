"""The options of ``scalelab-gateway``."""

from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple, Self

from msgspec import Meta

from scalability.config import Address, Flag, ServerOptions, ServiceURL
from scalability.errors import ConfigError
from scalability.gateway.access.keys import Key, secret_key
from scalability.gateway.routing.config import RouteFlag, RouteOptions, route_of


class CacheURL(NamedTuple):
    """Where the look-aside cache is: ``http://HOST:PORT``, shared with other gateways, or ``memory:``, this process's own."""

    service: ServiceURL | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the URL. Raises ValueError, saying what is wrong."""
        if text == "memory:":
            return cls(None)
        if not text.startswith("http://"):
            raise ValueError(f"{text!r} is neither http://HOST:PORT nor memory:")
        return cls(ServiceURL.parse(text))

    def __str__(self) -> str:
        return "memory:" if self.service is None else str(self.service)


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
        Flag("Where /data is looked up first: http://HOST:PORT, shared by all gateways, or memory:, this process's own.", "URL"),
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
        Flag("Seconds that a cached value is kept in this process too, never longer than in the cache itself; 0: not at all.", "S"),
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
    jwt_require: Annotated[
        tuple[RequiredClaim, ...],
        Flag("A claim that every token must carry, else the answer is 403.", "CLAIM=VALUE"),
    ] = ()

    route: Annotated[
        tuple[RouteFlag, ...],
        Flag(
            "A path that a server answers, with all below it, through an HTTP cache: /shop=http://HOST:PORT. The longest prefix of whole "
            "segments wins, after the gateway's own paths. What more a route can have stands in the TOML file, as [[gateway.routes]].",
            "PREFIX=URL",
        ),
    ] = ()
    routes: Annotated[tuple[RouteOptions, ...], Flag("Routes, each a table.", "TABLES", flag=False)] = ()

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
        if self.jwt_require and self.jwt_secret_file is None:
            raise ValueError("jwt-require: there are no tokens without --jwt-secret-file")


def read_secret(file: str) -> Key:
    """The HS256 key in ``file``, without a line end at its end. Raises ConfigError when there is none."""
    try:
        return secret_key(Path(file).read_bytes().rstrip(b"\r\n"))
    except OSError as error:
        raise ConfigError("--jwt-secret-file", f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError("--jwt-secret-file", f"{file} {error}") from error
