"""Whole runs against a server in the test's own reactor."""

import resource
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from scalability.config import Address
from scalability.errors import ConfigError, ConnectError
from scalability.lab.loadgen.recorder import Failure, Second
from scalability.lab.loadgen.run import Load, Run, ensure_descriptors, reachable
from scalability.lab.loadgen.target import target

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server(Protocol):
    """Answers each head that it reads as the factory says."""

    transport: Any
    factory: Any

    def connectionMade(self) -> None:
        self.factory.made += 1

    def dataReceived(self, data: bytes) -> None:
        for _ in range(data.count(b"\r\n\r\n")):
            self.factory.requests += 1
            self.factory.answer(self.transport, self.factory.requests)


@asynccontextmanager
async def serving(answer: Callable[[Any, int], None] = lambda transport, number: transport.write(OK)) -> AsyncIterator[tuple[Address, Any]]:
    from twisted.internet import reactor

    factory: Any = Factory.forProtocol(Server)
    factory.answer, factory.requests, factory.made = answer, 0, 0
    port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
    try:
        yield Address("127.0.0.1", port.getHost().port), factory
    finally:
        await port.stopListening()


def run_of(address: Address, load: Load, *, keep_alive: bool = True, turned: Callable[[Second], None] = lambda second: None) -> Run:
    from twisted.internet import reactor

    return Run(reactor, target(f"http://{address}/data", keep_alive=keep_alive), load, turned=turned)


async def test_every_request_is_sent_and_counted_once() -> None:
    async with serving() as (address, server):
        measured = await run_of(address, Load(clients=5, requests=20, connections=5)).run(address)
    assert measured.recorder.totals.success == server.requests == 100
    assert measured.connections == server.made == 5
    assert not measured.interrupted
    assert measured.elapsed_s > 0
    assert measured.recorder.latency.count == 100


async def test_clients_may_share_connections() -> None:
    async with serving() as (address, server):
        measured = await run_of(address, Load(clients=8, requests=5, connections=2)).run(address)
    assert (measured.recorder.totals.success, server.made) == (40, 2)


async def test_without_keep_alive_there_is_a_connection_for_each_request() -> None:
    async with serving() as (address, server):
        measured = await run_of(address, Load(clients=3, requests=4, connections=3), keep_alive=False).run(address)
    assert (measured.recorder.totals.success, server.made, measured.connections) == (12, 12, 12)


async def test_failures_are_told_apart() -> None:
    def answer(transport: Any, number: int) -> None:
        if number % 4 == 1:
            transport.write(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        elif number % 4 == 2:
            transport.write(OK[:-1])
            transport.loseConnection()
        elif number % 4 == 3:
            transport.abortConnection()
        # and none at all

    async with serving(answer) as (address, _):
        measured = await run_of(address, Load(clients=1, requests=4, connections=1, timeout_s=0.2)).run(address)
    assert measured.recorder.totals.failures == {Failure.SERVER_ERROR: 1, Failure.TRUNCATED: 1, Failure.RESET: 1, Failure.TIMEOUT: 1}


async def test_a_duration_ends_the_run_and_seconds_are_told() -> None:
    from twisted.internet import reactor

    told: list[Second] = []

    def answer(transport: Any, number: int) -> None:
        deferLater(reactor, 0.01, transport.write, OK)

    async with serving(answer) as (address, server):
        measured = await run_of(address, Load(clients=2, requests=None, duration_s=1.2, connections=2), turned=told.append).run(address)
    assert 1.2 <= measured.elapsed_s < 5
    assert measured.recorder.totals.success == server.requests == sum(second.requests for second in told)
    assert len(told) >= 2


async def test_an_interrupted_run_keeps_what_it_measured() -> None:
    from twisted.internet import reactor

    def answer(transport: Any, number: int) -> None:
        if number < 6:
            transport.write(OK)

    async with serving(answer) as (address, _):
        run = run_of(address, Load(clients=1, requests=None, connections=1))
        running = Deferred.fromCoroutine(run.run(address))
        await deferLater(reactor, 0.2)
        running.cancel()
        measured = await running
    assert measured.interrupted
    assert measured.recorder.totals.success == 5
    assert measured.recorder.totals.failed == 0


async def test_the_first_address_that_accepts_is_used() -> None:
    from twisted.internet import reactor

    async with serving() as (address, _):
        nobody = Address("127.0.0.1", 1)
        assert await reachable(reactor, [nobody, address], 5.0) == address
        with pytest.raises(ConnectError, match=r"nothing listens on 127\.0\.0\.1:1$"):
            await reachable(reactor, [nobody], 5.0)
    with pytest.raises(ConnectError, match="no address"):
        await reachable(reactor, [], 5.0)


def test_descriptors_are_raised_as_far_as_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"now": (100, 1000)}
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda which, wanted: limits.update(now=wanted))
    ensure_descriptors(36)
    assert limits["now"] == (100, 1000)
    ensure_descriptors(500)
    assert limits["now"] == (564, 1000)
    with pytest.raises(ConfigError, match="--connections: 1000 need 1064 open files, and this user may have 1000"):
        ensure_descriptors(1000)
