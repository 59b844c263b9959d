"""From options to policies."""

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from scalability.config import Network
from scalability.errors import ConfigError, TooManyRequests, Unauthorized
from scalability.gateway.access.api_keys import line_for
from scalability.gateway.access.assembly import SWEPT_AT_ONCE, Access
from scalability.gateway.access.config import APIKeyOptions, CorsOptions, JWTOptions
from scalability.gateway.rate_limits.config import LimitOptions, Per, RateLimitOptions
from scalability.gateway.rate_limits.shared_cells import SharedCells
from scalability.gateway.routing.config import RouteOptions
from scalability.http1.trust import Networks
from scalability.testing.exchanges import FakeExchange
from scalability.testing.limit_server import PlayedLimitServer
from scalability.testing.signing import SECRET, signed

KEY = "k" * 40


class Files:
    def __init__(self, folder: Path) -> None:
        (folder / "secret").write_bytes(SECRET)
        (folder / "keys").write_text(line_for("app", KEY))
        self.jwt = JWTOptions(secret_file=str(folder / "secret"))
        self.api_keys = APIKeyOptions(file=str(folder / "keys"))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def limit(requests: int, **more: Any) -> RateLimitOptions:
    return RateLimitOptions(limits=(LimitOptions(requests=requests, window_s=60, **more),), max_clients=1000)


def asked(*fields: str, **more: Any) -> FakeExchange:
    return FakeExchange(*fields, **more)


def test_a_route_gets_what_it_asks_for(files: Files) -> None:
    policy = Access(Clock()).policy(
        "/a",
        cors=CorsOptions(origins=("*",)),
        max_body_bytes=5,
        api_keys=files.api_keys,
        jwt=files.jwt,
        rate_limit=limit(1, per=Per.CONSUMER),
    )
    exchange = asked(f"X-API-Key: {KEY}", f"Authorization: {signed({'sub': 'ann'})}")
    assert policy.admit(exchange) is None
    assert exchange.said("Access-Control-Allow-Origin") == ["*"]
    assert exchange.said("RateLimit-Policy") == ['"default";q=1;w=60']
    assert (exchange.head.get(b"x-consumer"), exchange.head.get(b"x-subject")) == (b"app", b"ann")
    with pytest.raises(Unauthorized):
        policy.admit(asked())
    with pytest.raises(TooManyRequests):
        policy.admit(asked())
    assert policy.refused == {"unauthorized": 1, "too_many_requests": 1}
    assert not Access(Clock()).policy("/b")


def test_limits_for_all_hold_together_with_those_of_a_route_and_routes_do_not_share_theirs() -> None:
    access = Access(Clock(), rate_limit=limit(3, per=Per.ROUTE))
    one, two, free = access.policy("/a", rate_limit=limit(2)), access.policy("/b", rate_limit=limit(2)), access.policy("/h", limited=False)
    assert not free
    for policy in (one, one, two):
        exchange = asked()
        policy.admit(exchange)
        assert exchange.said("RateLimit-Policy") == ['"gateway";q=3;w=60, "default";q=2;w=60']
    with pytest.raises(TooManyRequests):
        two.admit(asked())
    assert access.policy("/c").limits is not None
    assert access.cells == 3


def test_shared_limits_count_for_all_gateways_together() -> None:
    server = PlayedLimitServer()

    class Gateway:
        def __init__(self) -> None:
            self.clock = Clock()
            cells = SharedCells(server.connection(), self.clock, timeout_s=0.1, draw=lambda: 0.5)
            self.access = Access(self.clock, rate_limit=limit(5), shared_cells=cells)
            self.policies = [self.access.policy(name, rate_limit=limit(3)) for name in ("/a", "/b")]
            self.access.startService()

        def ask(self, route: int) -> bool:
            waiting = self.policies[route].admit(FakeExchange())
            assert waiting is not None
            outcomes: list[Any] = []
            waiting.addBoth(outcomes.append)
            self.clock.advance(0)
            return outcomes == [None]

    gateways = Gateway(), Gateway()
    assert [gateways[n % 2].ask(0) for n in range(5)] == [True, True, True, False, False]
    assert [gateways[n % 2].ask(1) for n in range(4)] == [True, True, False, False]
    assert {key.split(b":")[2] for key in server.values} == {b"gateway", b"/a", b"/b"}
    for gateway in gateways:
        gateway.access.stopService()


def test_two_limits_of_one_name_are_an_error() -> None:
    with pytest.raises(ConfigError, match=r"^\[gateway\] routes /a rate_limit: .* same name"):
        Access(Clock(), rate_limit=limit(3, name="x")).policy("/a", rate_limit=limit(3, name="x"))


def test_cells_that_have_passed_are_swept() -> None:
    clock = Clock()
    access = Access(clock)
    policy = access.policy("/a", rate_limit=limit(60))
    access.startService()
    for n in range(SWEPT_AT_ONCE + 100):
        policy.admit(asked(peer_host=f"10.0.{n // 256}.{n % 256}"))
    assert (access.cells, access.evicted) == (SWEPT_AT_ONCE + 100, 0)
    clock.advance(1)
    assert access.cells == 100
    clock.advance(1)
    assert access.cells == 0
    access.stopService()


def test_a_route_without_keys_of_its_own_uses_those_of_the_gateway(files: Files) -> None:
    policy = Access(Clock(), jwt=files.jwt).policy("/a", jwt=JWTOptions(require=("role=admin",)))
    assert policy.admit(asked(f"Authorization: {signed({'role': 'admin'})}")) is None
    for gateway in (None, JWTOptions()):
        with pytest.raises(ConfigError, match=r"^\[gateway\] routes /a jwt: there is no key"):
            Access(Clock(), jwt=gateway).policy("/a", jwt=JWTOptions())


def test_a_token_ends_by_the_wall_clock_whatever_the_reactors_says(files: Files) -> None:
    clock = Clock()
    now = 1.7e9
    policy = Access(clock, wall=lambda: now).policy("/a", jwt=files.jwt)
    token = f"Authorization: {signed({'nbf': 1.7e9 - 1, 'exp': 1.7e9 + 10})}"
    assert policy.admit(asked(token)) is None
    clock.advance(3600)
    assert policy.admit(asked(token)) is None
    now += 11
    with pytest.raises(Unauthorized):
        policy.admit(asked(token))


def test_one_key_set_and_one_file_serve_all_routes_that_name_it(files: Files) -> None:
    access = Access(Clock())
    jwt = JWTOptions(jwks_url="https://issuer.example/keys")
    for name in ("/a", "/b"):
        access.policy(name, jwt=jwt, api_keys=files.api_keys)
    assert list(access.remotes) == ["https://issuer.example/keys"]
    assert list(access.key_files) == [files.api_keys.file]
    assert list(access.policies) == ["/a", "/b"]


def test_a_key_set_without_tls_and_a_short_secret_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"short")
    with capturedLogs() as events:
        jwt = JWTOptions(secret_file=str(tmp_path / "short"), jwks_url="http://issuer.example/keys")
        Access(Clock()).policy("/a", jwt=jwt)
    assert [event["log_level"].name for event in events] == ["warn", "warn"]
    assert [event.get("length") for event in events] == [None, 5]
    assert "without TLS" in events[0]["log_format"]


def test_files_are_errors_that_name_the_route(tmp_path: Path) -> None:
    nothing = str(tmp_path / "none")
    for make in (
        lambda: Access(Clock()).policy("/a", api_keys=APIKeyOptions(file=nothing)),
        lambda: Access(Clock()).policy("/a", jwt=JWTOptions(public_key_files=(nothing,))),
    ):
        with pytest.raises(ConfigError, match=r"^\[gateway\] routes /a (api_keys|jwt): cannot read"):
            make()


def test_a_route_of_the_configuration_asks_for_what_its_tables_say(files: Files) -> None:
    access = Access(Clock())
    route = RouteOptions(prefix="/a/", url="http://127.0.0.1:1", max_body=5, jwt=files.jwt)
    policy = access.for_route(route)
    assert policy is not None
    assert (policy.max_body_bytes, policy.tokens is None, policy.keys, policy.limits, policy.cors) == (5, False, None, None, None)
    assert list(access.policies) == ["/a"]
    assert access.for_route(RouteOptions(prefix="/b", url="http://127.0.0.1:1")) is None


def test_a_trusted_proxy_is_believed_and_nobody_else() -> None:
    access = Access(Clock(), trusted=Networks([Network.parse("10.0.0.0/8").addresses]))
    policy = access.policy("/a", rate_limit=limit(1))
    for peer, client in (("10.0.0.1", "192.0.2.1"), ("10.0.0.1", "192.0.2.2"), ("192.0.2.9", "192.0.2.1")):
        exchange = asked(f"X-Forwarded-For: {client}", peer_host=peer)
        policy.admit(exchange)
        assert exchange.client_host.decode() == (client if peer == "10.0.0.1" else "")
    with pytest.raises(TooManyRequests):
        policy.admit(asked("X-Forwarded-For: 192.0.2.1", peer_host="10.0.0.2"))
    for n in range(3000):
        policy.admit(asked(peer_host=f"172.16.{n // 256}.{n % 256}"))
    assert len(policy._trusts) <= 1000
