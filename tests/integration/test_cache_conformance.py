"""Everything that a gateway asks of a cache, on the servers that it may be moved between."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import deferLater

from scalability.gateway.cache_clients import LookAsideCache
from scalability.gateway.config import CacheURL
from scalability.gateway.look_aside.building import build_cache
from scalability.lab.bench.programs import free_port
from scalability.testing.cache_conformance import CacheConformance
from scalability.testing.certificates import Authority
from scalability.testing.processes import Process
from scalability.testing.redis_server import RedisServer, installed


class OnServer(CacheConformance):
    """On a real server at ``url``, with clients as the gateway makes them."""

    __test__ = False
    url = ""

    @asynccontextmanager
    async def client(self) -> AsyncIterator[LookAsideCache]:
        from twisted.internet import reactor

        clock: Any = reactor
        built = build_cache(clock, CacheURL.parse(self.url), timeout_s=5.0)
        for part in built.parts:
            part.startService()
        try:
            yield built.cache
        finally:
            if built.server is not None:
                built.server.close()
            for part in reversed(built.parts):
                await maybeDeferred(part.stopService)

    async def wait(self, seconds: float) -> None:
        from twisted.internet import reactor

        clock: Any = reactor
        await deferLater(clock, seconds)


@pytest.fixture(scope="class")
def cache_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    resp = free_port()
    flags = [] if request.cls.over_http else ["--resp", f"127.0.0.1:{resp}"]
    with Process.start("scalelab-cache", *flags, cwd=tmp_path_factory.mktemp("cache")) as process:
        port = process.wait_listening()
        request.cls.url = f"http://127.0.0.1:{port}" if request.cls.over_http else f"redis://127.0.0.1:{resp}"
        yield


@pytest.fixture(scope="class")
def redis_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    program = request.cls.program
    if not installed(program):
        pytest.skip(f"{program} is not installed")
    folder: Path = tmp_path_factory.mktemp(program)
    with RedisServer(folder, "--requirepass", "s3cret", program=program) as server:
        request.cls.url = f"redis://:s3cret@127.0.0.1:{server.port}/1"
        yield


@pytest.fixture(scope="class")
def redis_server_with_tls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if not installed():
        pytest.skip("redis-server is not installed")
    folder: Path = tmp_path_factory.mktemp("tls")
    authority = Authority()
    ca, both = authority.write_own(folder / "ca.pem"), authority.write(folder / "server.pem", "localhost")
    (folder / "password").write_text("p@ss/w:rd\n")
    certificates = ("--tls-cert-file", str(both), "--tls-key-file", str(both), "--tls-ca-cert-file", str(ca), "--tls-auth-clients", "no")
    user = ("--user", "gateway", "on", ">p@ss/w:rd", "~*", "+@all")
    with RedisServer(folder, *certificates, *user, "--requirepass", "other", tls=True) as server:
        request.cls.url = f"rediss://gateway:@localhost:{server.port}/2?ca={ca}&password_file={folder}/password"
        yield


@pytest.mark.usefixtures("cache_server")
class TestHTTP(OnServer):
    __test__ = True
    over_http = True


@pytest.mark.usefixtures("cache_server")
class TestRESP(OnServer):
    __test__ = True
    over_http = False


@pytest.mark.usefixtures("redis_server")
class TestRedis(OnServer):
    __test__ = True
    program = "redis-server"


@pytest.mark.usefixtures("redis_server_with_tls")
class TestRedisOverTLS(OnServer):
    """By a host's name, as a user of its own whose password stands in a file."""

    __test__ = True


@pytest.mark.usefixtures("redis_server")
class TestValkey(OnServer):
    __test__ = True
    program = "valkey-server"
