"""Limits that gateways share, on real servers: redis-server, valkey-server and our own cache."""

import random
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.task import Clock, deferLater

from scalability.config import Address
from scalability.gateway.rate_limits.fields import Limit
from scalability.gateway.rate_limits.gcra import Rate, Verdict
from scalability.gateway.rate_limits.shared import SharedLimits
from scalability.gateway.rate_limits.shared_cells import Connection, SharedCells
from scalability.gateway.rate_limits.store import LimitStore, MemoryLimits
from scalability.lab.bench.programs import free_port
from scalability.lifecycle import DeadlineWheel
from scalability.resp.client import RespClient
from scalability.testing.limit_store_conformance import START, LimitStoreConformance
from scalability.testing.processes import Process
from scalability.testing.redis_server import PROGRAMS, RedisServer, installed

OURS = "scalelab-cache"

StartServer = Callable[..., "tuple[int, Process]"]


@pytest.fixture(params=[*PROGRAMS, OURS])
def start_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartServer]:
    """Starts one; its port and process."""
    processes: list[Process] = []

    def start(port: int | None = None) -> tuple[int, Process]:
        port = port or free_port()
        if request.param == OURS:
            process = Process.start(OURS, "--resp", f"127.0.0.1:{port}")
            process.wait_listening()
        else:
            process = RedisServer(tmp_path, program=request.param, port=port).process
        processes.append(process)
        return port, process

    if request.param != OURS and not installed(request.param):
        pytest.skip(f"{request.param} is not installed")
    yield start
    for process in processes:
        process.close()


class SetTime:
    """A ``LimitServer`` that answers at once, and on which it is as late as the test says."""

    def __init__(self, port: int) -> None:
        self.now_ns = START
        self._connection = redis.Connection(host="127.0.0.1", port=port)

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[Connection]:
        yield self

    def pipeline(self, *commands: tuple[Any, ...]) -> Deferred[list[Any]]:
        self._connection.send_packed_command(self._connection.pack_commands(commands))
        replies = [self._connection.read_response() for _ in commands]
        seconds, ns = divmod(self.now_ns, 1_000_000_000)
        told = [b"%d" % seconds, b"%d" % (ns // 1000)]
        return succeed([told if command == (b"TIME",) else reply for command, reply in zip(commands, replies, strict=True)])

    def close(self) -> None:
        self._connection.disconnect()


class TestSharedLimitsOnServers(LimitStoreConformance):
    numbers = count()

    @pytest.fixture(autouse=True)
    def running(self, start_server: StartServer) -> Iterator[None]:
        port, _ = start_server()
        self.server = SetTime(port)
        yield
        self.server.close()

    def open(self, rates: Sequence[Rate]) -> LimitStore:
        self.clock = Clock()
        cells = SharedCells(self.server, self.clock, timeout_s=5.0, draw=random.random, slack_ms=600_000)
        cells.startService()
        self.shared = shared_limits(rates, f"/{next(self.numbers)}", cells, self.clock)
        return self.shared

    def take(self, store: LimitStore, keys: Sequence[bytes], at_ns: int = 0) -> Verdict:
        self.server.now_ns = START + at_ns
        return super().take(store, keys, at_ns)

    def wait(self, answer: Any) -> Verdict:
        self.clock.advance(0)
        assert self.shared.alone == 0
        return super().wait(answer)


def shared_limits(rates: Sequence[Rate], scope: str, cells: SharedCells, clock: Any) -> SharedLimits:
    limits = [Limit(f"l{at}", rate) for at, rate in enumerate(rates)]
    return SharedLimits(limits, [scope] * len(rates), cells, MemoryLimits(rates, 1), clock.seconds)


@asynccontextmanager
async def gateway(port: int, rate: Rate) -> AsyncIterator[tuple[SharedCells, SharedLimits]]:
    """What a gateway has of shared limits."""
    from twisted.internet import reactor

    wheel = DeadlineWheel(reactor)
    client = RespClient(reactor, (Address("127.0.0.1", port),), wheel, timeout_s=5.0, pause_s=lambda *_: 0.02, draw=random.random)
    cells = SharedCells(client, reactor, timeout_s=5.0, draw=random.random)
    services: tuple[Any, ...] = (wheel, client, cells)
    for service in services:
        service.startService()
    try:
        await client.call("PING")
        yield cells, shared_limits([rate], "/a", cells, reactor)
    finally:
        for service in reversed(services):
            await maybeDeferred(service.stopService)


async def test_of_many_requests_by_several_gateways_at_once_exactly_the_burst_is_admitted(start_server: StartServer) -> None:
    from twisted.internet import reactor

    port, _ = start_server()
    async with AsyncExitStack() as running:
        gateways = [await running.enter_async_context(gateway(port, Rate(100, 3600 * 1_000_000_000))) for _ in range(3)]
        waiting: list[Deferred[Verdict]] = []
        # in several turns, so that transactions of different gateways meet
        for _ in range(10):
            for _, limits in gateways:
                answers = [limits.take([b"k"], 0) for _ in range(10)]
                waiting += [answer for answer in answers if isinstance(answer, Deferred)]
            await deferLater(reactor, 0)
        verdicts = await gatherResults(waiting)
        assert (len(verdicts), sum(verdict.admitted for verdict in verdicts)) == (300, 100)
        assert sum(limits.alone for _, limits in gateways) == 0
        assert sum(cells.conflicts for cells, _ in gateways) > 0


async def test_a_server_that_is_killed_leaves_local_limits_and_one_that_comes_back_is_used_again(start_server: StartServer) -> None:
    from twisted.internet import reactor

    port, process = start_server()
    async with gateway(port, Rate(3, 3600 * 1_000_000_000)) as (cells, limits):

        async def take() -> bool:
            answer = limits.take([b"k"], int(reactor.seconds() * 1e9))
            verdict = await answer if isinstance(answer, Deferred) else answer
            return verdict.admitted

        assert [await take() for _ in range(4)] == [True, True, True, False]
        process.kill(signal.SIGKILL)
        process.wait()
        began = reactor.seconds()
        assert [await take() for _ in range(4)] == [True, True, True, False], "its own limits"
        assert reactor.seconds() - began < 3.0
        assert (limits.alone, cells.up) == (4, False)
        start_server(port)
        for _ in range(100):
            await take()
            if cells.up:
                break
            await deferLater(reactor, 0.1)
        assert cells.up
        before = limits.shared
        await take()
        assert limits.shared == before + 1
