"""Two gateways, one with the fast way and one without, are told the same, and must answer the same bytes and count the same."""

from dataclasses import dataclass
from typing import Any

import jwt
from hypothesis import given
from hypothesis import strategies as st

from scalability.api.mount import mount
from scalability.errors import ConnectError, QueueFull
from scalability.gateway.access.claims import Rules
from scalability.gateway.access.cors import Cors
from scalability.gateway.access.description import schemes
from scalability.gateway.access.guard import Guard
from scalability.gateway.access.keys import Keys, secret_key
from scalability.gateway.access.own_paths import path_of
from scalability.gateway.access.policy import AccessPolicy
from scalability.gateway.access.token_check import TokenCheck
from scalability.gateway.access.tokens import Tokens
from scalability.gateway.cache_clients import MemoryCache
from scalability.gateway.config import RequiredClaim
from scalability.gateway.data import DataSource
from scalability.gateway.data_hits import DataHits
from scalability.gateway.dependencies import Dependencies, Dependency
from scalability.gateway.exchange import GatewayFactory
from scalability.gateway.http_api import Parts, gateway_app
from scalability.gateway.look_aside import LookAside, Policy
from scalability.gateway.metrics import GatewayMetrics
from scalability.gateway.rate_limits.config import Per
from scalability.gateway.rate_limits.fields import Limit
from scalability.gateway.rate_limits.gcra import Rate
from scalability.gateway.rate_limits.policy import CountedLimit, RateLimits
from scalability.gateway.rate_limits.store import MemoryLimits
from scalability.net.exchange import Application, Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.telemetry.exposition import exposition
from scalability.testing.memory import MemoryNetwork
from scalability.testing.services import FakeService, answer
from scalability.ttlcache import TTLCache

SECRET = b"0123456789abcdef0123456789abcdef"
START_S = 1_700_000_000.0
VALUES = (b'"Fetched fresh data from DB"', b"null", b'{"a": [1.10, "\xc3\xa9"]}', b'"' + b"x" * 70_000 + b'"')


def signed(**claims: Any) -> bytes:
    return jwt.encode(claims, SECRET, algorithm="HS256").encode()


class Front:
    """Lets what a policy admits go on to ``application``, as the gateway's front does: a limit that counts, and fields for every answer."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.left = 6

    def request_received(self, exchange: Any) -> None:
        exchange.added += [(b"RateLimit", b'"all";r=%d' % self.left), (b"Vary", b"Origin")]
        if not self.left:
            self.left = 6
            exchange.fail(QueueFull())
            return
        self.left -= 1
        self.application.request_received(exchange)


class Gateway:
    """A gateway's wire and routes on a clock of its own, with a database that the test changes."""

    def __init__(self, *, fast: bool, tokens: bool, policies: bool = False) -> None:
        self.network = MemoryNetwork()
        self.network.advance(START_S)
        self.value: bytes | None = VALUES[0]
        database = Dependency("database", FakeService(self._row), self.network)
        everyone = Dependencies(database)
        cache = MemoryCache(TTLCache(max_bytes=1 << 20), self.network)
        self.look_aside = LookAside(cache, self.network, Policy(ttl_s=5.0, ttl_jitter=0.0, stale_ttl_s=4.0), draw=lambda: 0.5)
        self.metrics = GatewayMetrics(self.look_aside, everyone)
        counts = self.metrics.metric_set()
        parts = Parts(
            self.network,
            self.look_aside,
            everyone,
            database,
            database,
            database,
            self.metrics,
            [counts],
            schemes(tokens=tokens, key_field=None),
        )
        self.factory = mount(gateway_app(parts), reactor=self.network, wall=self.network.seconds)
        self.factory.startFactory()
        self.exposed = [counts, self.factory.metrics]
        self.passed = 0
        self.http, self.date = self.factory.http, self.factory.date
        application: Application = self.factory
        if fast:
            application = DataHits(self, self.look_aside, DataSource(database).load, self.metrics)
        if tokens:
            checked = Tokens(Keys([secret_key(SECRET)]), Rules(required=(RequiredClaim("role", "admin"),)))
            rate = Rate(5, 3 * 10**9)
            limits = RateLimits([CountedLimit(Limit("all", rate), Per.CONSUMER)], MemoryLimits([rate], 100), self.network.seconds)
            policy = AccessPolicy(
                cors=Cors(["https://app.example"], methods=["GET"], credentials=True),
                tokens=TokenCheck(checked, self.network.seconds, subject_field="X-Subject"),
                limits=limits,
            )
            application = Guard(lambda exchange: policy if path_of(exchange.head.target) == b"/data" else None, application)
        if policies:
            application = Front(application)
        self.factory.application = application
        self.server: HTTPServerFactory = self.factory
        if tokens or policies:
            self.server = GatewayFactory(
                application, clock=self.network, wheel=self.factory.wheel, abort_on_close=True, wall=self.network.seconds
            )
        self.connection = self.network.connect_to(self.server)

    def request_received(self, exchange: Exchange) -> None:
        """What the fast way leaves to the route."""
        self.passed += 1
        self.factory.request_received(exchange)

    def _row(self, _: object) -> Any:
        return ConnectError() if self.value is None else answer(200, b'{"message":%b}' % self.value)

    def ask(self, request: bytes) -> bytes:
        """Whatever comes back; a connection that has ended is replaced first."""
        if not self.connection.open or self.connection.half_closed:
            self.connection = self.network.connect_to(self.server)
        self.connection.deliver(request)
        return self.connection.taken()

    def counted(self) -> tuple[dict[str, Any], bytes]:
        return self.metrics.as_json(), exposition(self.exposed).body


@dataclass(frozen=True)
class Step:
    """Time passes, the database changes or goes away, and a request, or several, are sent in one piece."""

    pause_s: float
    value: bytes | None
    request: bytes
    times: int


GOOD, POOR, OLD = signed(role="admin"), signed(role="user"), signed(role="admin", exp=int(START_S) + 3)
FIELDS = (
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: Upgrade\r\nUpgrade: websocket",
    b"Content-Length: 0",
    b"Expect: 100-continue",
    b"Accept-Encoding: gzip",
    b"If-None-Match: *",
    b"If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT",
    b"Range: bytes=0-1",
    b"Cookie: a=b",
    b"X-Request-Id: 7",
    b"Origin: https://app.example",
    b"Origin: https://evil.example\r\nAccess-Control-Request-Method: GET",
    b"Authorization: nonsense",
    b"Authorization: Bearer " + GOOD,
    b"Authorization: " + GOOD,
    b"Authorization: Bearer " + OLD,
    b"Authorization: Bearer " + POOR,
    b"Authorization: Bearer " + GOOD + b"\r\nAuthorization: Bearer " + POOR,
)
TARGETS = (b"/data", b"/data?", b"/data?x=1", b"/data/", b"/%64ata", b"http://other/data", b"/health", b"*")


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    usual = draw(st.booleans())
    method = b"GET" if usual else draw(st.sampled_from((b"GET", b"HEAD", b"POST", b"OPTIONS", b"get")))
    target = b"/data" if usual else draw(st.sampled_from(TARGETS))
    minor = b"1" if usual else draw(st.sampled_from((b"1", b"0")))
    body = b"" if usual else draw(st.sampled_from((b"", b"", b"{}")))
    fields = draw(st.lists(st.sampled_from(FIELDS), max_size=0 if usual and draw(st.booleans()) else 3, unique=True))
    host = [b"Host: test"] if usual else draw(st.sampled_from(([b"Host: test"], [b"Host:"], [])))
    length = [b"Content-Length: %d" % len(body)] if body else []
    return b"\r\n".join([method + b" " + target + b" HTTP/1." + minor, *host, *fields, *length, b"", body])


STEPS = st.builds(
    Step,
    st.sampled_from((0.0, 0.0, 0.3, 0.8, 1.0, 1.5, 6.0)),
    st.sampled_from((VALUES[0], VALUES[0], *VALUES, None)),
    requests(),
    st.sampled_from((1, 1, 3)),
)


@given(steps=st.lists(STEPS, min_size=1, max_size=12), tokens=st.booleans(), policies=st.booleans())
def test_the_fast_way_and_the_route_answer_the_same_bytes_and_count_the_same(steps: list[Step], tokens: bool, policies: bool) -> None:
    fast, slow = (Gateway(fast=way, tokens=tokens, policies=policies) for way in (True, False))
    for step in steps:
        told = []
        for gateway in (fast, slow):
            gateway.network.advance(step.pause_s)
            gateway.value = step.value
            told.append(gateway.ask(step.request * step.times))
        assert told[0] == told[1]
        assert fast.counted() == slow.counted()
    # nothing is under way: what is asked next is answered alike too
    assert fast.look_aside.under_way == slow.look_aside.under_way == 0


PLAIN = b"GET /data HTTP/1.1\r\nHost: test\r\n\r\n"


def test_a_near_hit_never_reaches_the_route() -> None:
    gateway = Gateway(fast=True, tokens=False)
    first = gateway.ask(PLAIN)
    for _ in range(5):
        assert gateway.ask(PLAIN) == first.replace(b"false", b"true").replace(b": 52", b": 51")
    assert gateway.passed == 1
    assert gateway.metrics.as_json()["near_hits"] == gateway.metrics.hits == 5
    gateway.network.advance(1.1)
    gateway.ask(PLAIN)
    assert gateway.passed == 2


def test_with_tokens_a_good_one_is_answered_fast_and_every_other_one_refused_before() -> None:
    gateway = Gateway(fast=True, tokens=True)

    def ask(token: bytes) -> bytes:
        return gateway.ask(PLAIN.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer " + token + b"\r\n\r\n"))[9:12]

    ask(GOOD)
    assert (ask(GOOD), gateway.passed) == (b"200", 1)
    assert (ask(b"nonsense"), ask(POOR), gateway.ask(PLAIN)[9:12], gateway.passed) == (b"401", b"403", b"401", 1)


def test_what_policies_add_stands_in_a_fast_answer_too() -> None:
    gateway = Gateway(fast=True, tokens=False, policies=True)
    gateway.ask(PLAIN)
    second = gateway.ask(PLAIN)
    assert gateway.passed == 1
    assert b'\r\nRateLimit: "all";r=5\r\nVary: Origin\r\n\r\n{"cached":true' in second


def test_the_date_is_that_of_the_answer() -> None:
    gateway = Gateway(fast=True, tokens=False)
    gateway.ask(PLAIN)
    gateway.network.advance(0.9)
    assert b"Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n" in gateway.ask(PLAIN)
    gateway.network.advance(0.09)
    assert b"22:13:20" in gateway.ask(PLAIN)
    gateway.network.advance(0.02)
    assert b"22:13:21" in gateway.ask(PLAIN)


def test_while_the_server_drains_the_route_says_that_the_connection_closes() -> None:
    gateway = Gateway(fast=True, tokens=False)
    gateway.ask(PLAIN)
    gateway.factory.drain(5.0)
    assert b"Connection: close\r\n" in gateway.ask(PLAIN)


def test_a_value_that_is_due_is_loaded_behind_the_answer() -> None:
    gateway = Gateway(fast=True, tokens=False)
    gateway.ask(PLAIN)
    entry = gateway.look_aside.near.get("data", gateway.network.seconds())
    assert entry is not None
    entry.refresh_at = 0.0
    gateway.value = b'"new"'
    assert b"Fetched" in gateway.ask(PLAIN)
    assert b'"new"' in gateway.ask(PLAIN)
    assert gateway.look_aside.counts.early_refreshes == 1
