"""Everything that a gateway asks of a cache, on the servers that it may be moved between."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import deferLater

from scalability.gateway.cache_clients import LookAsideCache
from scalability.gateway.config import CacheURL
from scalability.gateway.look_aside.building import build_cache
from scalability.lab.bench.programs import free_port
from scalability.lifecycle import DeadlineWheel
from scalability.testing.cache_conformance import CacheConformance
from scalability.testing.processes import Process
from scalability.testing.redis_server import RedisServer


class OnServer(CacheConformance):
    """On a real server at ``url``, with clients as the gateway makes them."""

    __test__ = False
    url = ""

    @asynccontextmanager
    async def client(self) -> AsyncIterator[LookAsideCache]:
        from twisted.internet import reactor

        clock: Any = reactor
        wheel = DeadlineWheel(clock)
        built = build_cache(clock, CacheURL.parse(self.url), wheel, timeout_s=5.0)
        for part in (wheel, *built.parts):
            part.startService()
        try:
            yield built.cache
        finally:
            if built.server is not None:
                built.server.close()
            for part in (*built.parts, wheel):
                await part.stopService()

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
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    folder: Path = tmp_path_factory.mktemp(program)
    with RedisServer(folder, "--requirepass", "s3cret", program=program) as server:
        request.cls.url = f"redis://:s3cret@127.0.0.1:{server.port}/1"
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


@pytest.mark.usefixtures("redis_server")
class TestValkey(OnServer):
    __test__ = True
    program = "valkey-server"
