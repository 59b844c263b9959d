"""From options to policies: what several routes share (key sets, key files, limits for all) exists once, as services of this one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import time
from typing import Any, Final

from twisted.logger import Logger

from scalability.errors import ConfigError
from scalability.gateway.access.claims import Rules
from scalability.gateway.access.config import APIKeyOptions, CorsOptions, JWTOptions
from scalability.gateway.access.jwks import RemoteKeys
from scalability.gateway.access.jwks_client import key_set_client
from scalability.gateway.access.key_check import KeyCheck
from scalability.gateway.access.key_file import KeyFile
from scalability.gateway.access.key_files import no_key, option_of
from scalability.gateway.access.key_set_url import KeySetURL
from scalability.gateway.access.keys import HS256, MIN_SECRET_BYTES, Key, Keys
from scalability.gateway.access.policy import AccessPolicy
from scalability.gateway.access.token_check import TokenCheck
from scalability.gateway.access.tokens import Tokens
from scalability.gateway.rate_limits.config import FOR_ALL, OF_A_ROUTE, RateLimitOptions
from scalability.gateway.rate_limits.policy import CountedLimit, RateLimits
from scalability.gateway.rate_limits.shared import SharedLimits
from scalability.gateway.rate_limits.shared_cells import SharedCells
from scalability.gateway.rate_limits.store import LimitStore, MemoryLimits
from scalability.gateway.routing.config import RouteOptions
from scalability.http1.trust import NOBODY, Networks
from scalability.lifecycle import OrderedService, Ticker

SWEEP_S: Final = 1.0
SWEPT_AT_ONCE: Final = 500
"""Cells of each limit that are dropped in one go: about a millisecond."""

_NS: Final = 1_000_000_000


class Access(OrderedService):
    """Makes the policies of a gateway's routes.

    ``jwt`` has the gateway's own keys, which routes use that name none; ``rate_limit`` holds for all requests together with a route's own.
    With ``shared_cells`` all gateways that share them count together, by their server's clock. ``wall`` tells the Unix time, for tokens.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        jwt: JWTOptions | None = None,
        rate_limit: RateLimitOptions | None = None,
        shared_cells: SharedCells | None = None,
        trusted: Networks = NOBODY,
        jwks_timeout_s: float = 5.0,
        jwks_cooldown_s: float = 10.0,
        wall: Callable[[], float] = time,
    ) -> None:
        super().__init__()
        self._jwks_timeout_s = jwks_timeout_s
        self._jwks_cooldown_s = jwks_cooldown_s
        self._reactor = reactor
        self._wall = wall
        self._jwt = jwt
        self._trusted = trusted
        self._keys: dict[object, Keys] = {}
        """Of files that were read already."""
        self.remotes: dict[str, RemoteKeys] = {}
        self.key_files: dict[str, KeyFile] = {}
        self.policies: dict[str, AccessPolicy] = {}
        """By the route's name."""
        self._stores: list[MemoryLimits] = []
        self._for_all: list[CountedLimit] = []
        self._shared = MemoryLimits([], 1)
        if rate_limit is not None:
            self._for_all = _counted(rate_limit, FOR_ALL)
            self._shared = self._store(self._for_all, rate_limit)
        self._older = rate_limit
        self.shared_cells = shared_cells
        self.shared_limits: dict[str, SharedLimits] = {}
        """By the route's name."""
        if shared_cells is not None:
            shared_cells.setServiceParent(self)
        Ticker(reactor, SWEEP_S, self._sweep, now=False).setServiceParent(self)

    def policy(
        self,
        name: str,
        *,
        cors: CorsOptions | None = None,
        max_body_bytes: int | None = None,
        api_keys: APIKeyOptions | None = None,
        jwt: JWTOptions | None = None,
        rate_limit: RateLimitOptions | None = None,
        limited: bool = True,
    ) -> AccessPolicy:
        """What the route ``name`` asks for. ``limited``: the limits for all count there too. Raises ConfigError. Blocks: it reads files."""
        policy = self.policies[name] = AccessPolicy(
            cors=None if cors is None else cors.cors(),
            max_body_bytes=max_body_bytes,
            keys=None if api_keys is None else self._key_check(name, api_keys),
            tokens=None if jwt is None else self._token_check(name, jwt),
            limits=self._limits(name, rate_limit, limited),
            trusted=self._trusted,
        )
        return policy

    def for_route(self, route: RouteOptions) -> AccessPolicy | None:
        """What ``route`` asks for, and the limits for all; None when that is nothing. Raises ConfigError. Blocks: it reads files."""
        policy = self.policy(
            route.path, cors=route.cors, max_body_bytes=route.max_body, api_keys=route.api_keys, jwt=route.jwt, rate_limit=route.rate_limit
        )
        return policy or None

    @property
    def cells(self) -> int:
        """Clients that are counted, of all limits together."""
        return sum(map(len, self._stores))

    @property
    def evicted(self) -> int:
        """Cells that had to make room for others."""
        return sum(store.evicted for store in self._stores)

    def _key_check(self, name: str, options: APIKeyOptions) -> KeyCheck:
        file = self.key_files.get(options.file)
        if file is None:
            try:
                file = self.key_files[options.file] = KeyFile(self._reactor, Path(options.file))
            except ConfigError as error:
                raise ConfigError(option_of(name, "api_keys"), error.why) from error
            file.setServiceParent(self)
        return KeyCheck(file, options.field, parameter=options.parameter, consumer_field=options.consumer_field, forward=options.forward)

    def _token_check(self, name: str, options: JWTOptions) -> TokenCheck:
        source = options if options.has_keys else self._jwt
        if source is None or not source.has_keys:
            raise no_key(name)
        option = "--jwt-secret-file" if source == self._jwt else option_of(name, "jwt")
        remote = None if source.jwks_url is None else self._remote(source.jwks_url)
        required = options.required()
        rules = Rules(
            required=required,
            audiences=frozenset(options.audiences),
            issuers=frozenset(options.issuers),
            leeway_s=options.leeway_s,
        )
        return TokenCheck(
            Tokens(self._fixed_keys(source, option), rules, remote),
            self._wall,
            remote,
            scope=" ".join(value for claim, value in required if claim == "scope"),
            subject_field=options.subject_field,
            forward=options.forward,
        )

    def _fixed_keys(self, source: JWTOptions, option: str) -> Keys:
        files = (source.secret_file, source.public_key_files)
        keys = self._keys.get(files)
        if keys is None:
            keys = self._keys[files] = Keys(source.fixed_keys(option))
            for key in keys:
                self._warn_of_short(key)
        return keys

    def _remote(self, text: str) -> RemoteKeys:
        remote = self.remotes.get(text)
        if remote is None:
            url = KeySetURL.parse(text)
            if url.plain:
                self.log.warn("{url} is fetched without TLS: whoever is on the way could put keys of his own there", url=url.name)
            client = key_set_client(self._reactor, url, connect_timeout_s=self._jwks_timeout_s)
            remote = self.remotes[text] = RemoteKeys(
                client.fetch, self._reactor, url.name, deadline_s=self._jwks_timeout_s, cooldown_s=self._jwks_cooldown_s
            )
            remote.setServiceParent(self)
        return remote

    def _warn_of_short(self, key: Key) -> None:
        if key.algorithm == HS256 and len(key.material) < MIN_SECRET_BYTES:
            self.log.warn(
                "the secret has {length} bytes; HS256 asks for {wanted} at least", length=len(key.material), wanted=MIN_SECRET_BYTES
            )

    def _limits(self, name: str, options: RateLimitOptions | None, limited: bool) -> RateLimits | None:
        for_all = self._for_all if limited else []
        own = [] if options is None else _counted(options, OF_A_ROUTE)
        counted = [*for_all, *own]
        if not counted:
            return None
        names = [one.limit.name for one in counted]
        if len(set(names)) != len(names):
            raise ConfigError(option_of(name, "rate_limit"), "a limit for all requests has the same name")
        shared = self._shared.cells if limited else ()
        local = self._store(own, options, shared) if options is not None else MemoryLimits([], 1, shared)
        store: LimitStore = local
        if self.shared_cells is not None:
            scopes = [FOR_ALL] * len(for_all) + [name] * len(own)
            every = [one.limit for one in counted]
            store = self.shared_limits[name] = SharedLimits(every, scopes, self.shared_cells, local, self._reactor.seconds)
        older = options or self._older
        assert older is not None
        return RateLimits(counted, store, self._reactor.seconds, older.older_fields)

    def _store(self, counted: Sequence[CountedLimit], options: RateLimitOptions, shared: Sequence[Any] = ()) -> MemoryLimits:
        own = MemoryLimits([one.limit.rate for one in counted], options.max_clients)
        self._stores.append(own)
        return MemoryLimits([], 1, (*shared, *own.cells)) if shared else own

    def _sweep(self) -> None:
        now_ns = int(self._reactor.seconds() * _NS)
        for store in self._stores:
            store.sweep(now_ns, SWEPT_AT_ONCE)


def _counted(options: RateLimitOptions, default: str) -> list[CountedLimit]:
    return [CountedLimit(limit, one.per) for limit, one in zip(options.named(default), options.limits, strict=True)]
