"""The whole gateway, as it is put together, with the fast way of /data and without: the same requests, the same bytes, the same counts."""

from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.config import load
from scalability.gateway import service
from scalability.gateway.config import GatewayOptions
from scalability.gateway.data_hits import DataHits
from scalability.net.exchange import Exchange
from scalability.net.listen import Listener
from scalability.testing.memory import MemoryNetwork, MemoryTransport

SECRET = "0123456789abcdef0123456789abcdef"
GOOD = jwt.encode({"role": "admin"}, SECRET, algorithm="HS256").encode()
PLAIN = b"GET /data HTTP/1.1\r\nHost: test\r\n\r\n"
ROWS = (b'"Fetched fresh data from DB"', b"null", b'{"a": [1.10]}')

LOOK_ASIDE = 'cache = "memory:"\nttl = 5\nttl_jitter = 0\nearly_refresh = 0\nstale_ttl = 4\n'
POLICIES = """
[gateway.cors]
origins = ["https://app.example"]
[gateway.rate_limit]
limits = [{requests = 4, window = 3}]
"""


class SlowDataHits(DataHits):
    """Leaves everything to the route."""

    def request_received(self, exchange: Exchange) -> None:
        self._pass_on(exchange)


class Gateway:
    """What ``gateway_service`` makes, on a network in memory where the test is the database."""

    def __init__(self, file: Path, *, hits: type[DataHits]) -> None:
        self.network = MemoryNetwork()
        self.row = ROWS[0]
        options = load(GatewayOptions, flags={}, environ={}, file=file)
        with patch.object(service, "DataHits", hits):
            parts: Any = service.gateway_service(self.network, options, wall=lambda: 1.7e9 + self.network.seconds())
        (listener,) = [part for part in parts if isinstance(part, Listener)]
        self._factory = cast(Any, listener._factory)
        self._factory.startFactory()
        self._behind: list[MemoryTransport] = []
        self.connection = self.network.connect_to(self._factory)

    def ask(self, request: bytes) -> bytes:
        """What comes back; a connection that has ended is replaced first."""
        if not self.connection.open or self.connection.half_closed:
            self.connection = self.network.connect_to(self._factory)
        self.connection.deliver(request)
        for _ in range(8):
            self._answer()
            self.network.advance(0)
        return self.connection.taken()

    def _answer(self) -> None:
        while self.network.attempts:
            self._behind.append(self.network.accept())
        for server in self._behind:
            if server.taken():
                body = b'{"message":%b}' % self.row
                server.deliver(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Configurations: nothing but the cache; with CORS and a limit; with tokens too."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "secret").write_text(SECRET)
    tokens = f'jwt_secret_file = "{folder}/secret"\njwt_require = ["role=admin"]\n'
    written = []
    for number, text in enumerate((LOOK_ASIDE, LOOK_ASIDE + POLICIES, LOOK_ASIDE + tokens + POLICIES)):
        written.append(folder / f"{number}.toml")
        written[-1].write_text("[gateway]\n" + text)
    return written


FIELDS = st.lists(
    st.sampled_from(
        (
            b"Connection: close",
            b"Cache-Control: no-cache",
            b"Cache-Control: only-if-cached",
            b"If-None-Match: *",
            b"Range: bytes=0-1",
            b"Origin: https://app.example",
            b"Origin: https://evil.example",
            b"Authorization: Bearer " + GOOD,
            b"Authorization: Bearer nonsense",
            b"Accept-Encoding: gzip",
            b"Content-Length: 0",
            b"Expect: 100-continue",
        )
    ),
    max_size=3,
    unique=True,
)
REQUESTS = st.builds(
    lambda method, target, fields: b"\r\n".join([method + b" " + target + b" HTTP/1.1", b"Host: test", *fields, b"", b""]),
    st.sampled_from((b"GET", b"GET", b"GET", b"HEAD", b"POST", b"OPTIONS")),
    st.sampled_from((b"/data", b"/data", b"/data", b"/data?", b"/data/", b"/%64ata", b"/health", b"http://other/data")),
    FIELDS,
)
STEPS = st.tuples(st.sampled_from((0.0, 0.0, 0.4, 1.1, 6.0)), st.sampled_from(ROWS), REQUESTS)


@given(steps=st.lists(STEPS, min_size=2, max_size=10), number=st.integers(0, 2))
def test_both_ways_answer_the_same_bytes_and_count_the_same(
    files: list[Path], steps: list[tuple[float, bytes, bytes]], number: int
) -> None:
    fast, slow = (Gateway(files[number], hits=way) for way in (DataHits, SlowDataHits))
    for pause_s, row, request in steps:
        told = []
        for gateway in (fast, slow):
            gateway.network.advance(pause_s)
            gateway.row = row
            told.append(gateway.ask(request))
        assert told[0] == told[1]
        assert fast.ask(b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n") == slow.ask(b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n")


def test_a_hit_is_answered_by_the_fast_way_with_policies_and_without(files: list[Path]) -> None:
    passed: list[Exchange] = []

    class Counted(DataHits):
        def __init__(self, *things: Any, **named: Any) -> None:
            super().__init__(*things, **named)
            self._further, self._pass_on = self._pass_on, self._count

        def _count(self, exchange: Exchange) -> None:
            passed.append(exchange)
            self._further(exchange)

    request = PLAIN.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer " + GOOD + b"\r\n\r\n")
    for file in files:
        gateway = Gateway(file, hits=Counted)
        assert gateway.ask(request).endswith(b'{"cached":false,"data":"Fetched fresh data from DB"}')
        assert len(passed) == 1
        for _ in range(3):
            assert gateway.ask(request).endswith(b'{"cached":true,"data":"Fetched fresh data from DB"}')
        assert b" 429 " in gateway.ask(request)[:16] or file is files[0]
        assert len(passed) == 1
        passed.clear()
