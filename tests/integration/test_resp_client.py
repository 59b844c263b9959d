"""The client on real servers: redis-server and valkey-server, where they are installed, and our own cache server."""

import random
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from scalability.config import Address
from scalability.errors import CommandRefused, DependencyDown, ScalelabError
from scalability.lab.bench.programs import free_port
from scalability.lifecycle import DeadlineWheel
from scalability.net.tls import ServerTLS
from scalability.resp.client import RespClient
from scalability.resp.client_opening import Greeting
from scalability.testing.certificates import Authority
from scalability.testing.processes import Process
from scalability.testing.redis_server import PROGRAMS, RedisServer, installed

OURS = "scalelab-cache"


class Ours:
    """The cache server, as ``RedisServer``."""

    def __init__(self, folder: Path, *options: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.process = Process.start(OURS, "--resp", f"127.0.0.1:{self.port}", *options, cwd=folder)
        self.process.wait_listening()

    def close(self) -> None:
        self.process.close()


AnyServer = RedisServer | Ours


@pytest.fixture(params=[*PROGRAMS, OURS])
def start_any(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., AnyServer]]:
    if request.param != OURS and not installed(request.param):
        pytest.skip(f"{request.param} is not installed")
    started: list[AnyServer] = []

    def start(*options: str, **more: Any) -> AnyServer:
        server = (
            Ours(tmp_path, *options, **more) if request.param == OURS else RedisServer(tmp_path, *options, program=request.param, **more)
        )
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()


@pytest.fixture(params=PROGRAMS)
def start_redis(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    if not installed(request.param):
        pytest.skip(f"{request.param} is not installed")
    started: list[RedisServer] = []

    def start(*options: str, **more: Any) -> RedisServer:
        started.append(RedisServer(tmp_path, *options, program=request.param, **more))
        return started[-1]

    yield start
    for server in started:
        server.close()


@asynccontextmanager
async def client_of(*ports: int, timeout_s: float = 0.5, **more: Any) -> AsyncIterator[RespClient]:
    from twisted.internet import reactor

    wheel = DeadlineWheel(reactor)
    client = RespClient(
        reactor,
        tuple(Address("127.0.0.1", port) for port in ports),
        wheel,
        timeout_s=timeout_s,
        pause_s=lambda *_: 0.02,
        draw=random.random,
        **more,
    )
    wheel.startService()
    client.startService()
    try:
        yield client
    finally:
        await client.stopService()
        await wheel.stopService()


async def until(true: Callable[[], Any] | Callable[[], Awaitable[Any]], *, timeout_s: float = 10.0) -> None:
    from twisted.internet import reactor

    for _ in range(int(timeout_s / 0.01)):
        if true():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError("it never became true")


class Pushed:
    def __init__(self) -> None:
        self.messages: list[Any] = []

    def connected(self, client: RespClient) -> None:
        client.call("CLIENT", "TRACKING", "ON", "NOLOOP").addErrback(self.messages.append)

    def lost(self) -> None:
        self.messages.append("lost")

    def pushed(self, message: list[Any]) -> None:
        self.messages.append(list(message))


async def test_a_thousand_calls_at_once_are_answered_in_order(start_any: Callable[..., AnyServer]) -> None:
    server = start_any()
    async with client_of(server.port, timeout_s=30.0) as client:
        await gatherResults([client.call("SET", f"k{number}", number) for number in range(1000)])
        assert await gatherResults([client.call("GET", f"k{number}") for number in range(1000)]) == [b"%d" % n for n in range(1000)]
        assert await client.call("CONFIG", "GET", "appendonly") == {b"appendonly": b"no"}
        big = b"x" * 3_000_000
        assert await client.pipeline(("SET", "big", big), ("GET", "big")) == [b"OK", big]


async def test_a_password_is_asked_for_by_our_server_too(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    server = Ours(tmp_path, "--resp-password-file", str(tmp_path / "password"))
    try:
        async with client_of(server.port, greeting=Greeting(password="s3cret"), timeout_s=10.0) as client:
            assert await client.call("SET", "k", 1) == b"OK"
        for greeting in (Greeting(), Greeting(password="wrong")):
            async with client_of(server.port, greeting=greeting) as client:
                with pytest.raises(DependencyDown):
                    await client.call("GET", "k")
    finally:
        server.close()


async def test_errors_user_database_and_password_are_the_servers(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis("--requirepass", "s3cret", "--user", "me", "on", ">mine", "~*", "+@all")
    for greeting in (Greeting(password="s3cret", database=3), Greeting("me", "mine", 3)):
        async with client_of(server.port, greeting=greeting, timeout_s=10.0) as client:
            await client.call("LPUSH", "list", 1)
            with pytest.raises(CommandRefused) as caught:
                await client.call("GET", "list")
            assert caught.value.kind == "WRONGTYPE"
            assert f"user={greeting.user or 'default'} " in (await client.call("CLIENT", "LIST")).decode()
            assert " db=3 " in (await client.call("CLIENT", "LIST")).decode()
    async with client_of(server.port, greeting=Greeting(password="wrong")) as client:
        with pytest.raises(DependencyDown):
            await client.call("GET", "list")


async def test_transactions_of_many_users_lose_nothing(start_any: Callable[..., AnyServer]) -> None:
    server = start_any()

    async def add(client: RespClient) -> int:
        tries = 0
        while True:
            tries += 1
            async with client.exclusive() as connection:
                await connection.call("WATCH", "sum")
                value = int(await connection.call("GET", "sum") or 0)
                *_, done = await connection.pipeline(("MULTI",), ("SET", "sum", value + 1), ("EXEC",))
            if done is not None:
                return tries

    async with client_of(server.port, timeout_s=30.0) as one, client_of(server.port, timeout_s=30.0) as other:
        await gatherResults([one.call("PING"), other.call("PING")])
        tries = await gatherResults([Deferred.fromCoroutine(add(client)) for _ in range(50) for client in (one, other)])
        assert await one.call("GET", "sum") == b"100"
        assert len(tries) == 100


async def test_a_change_by_another_client_is_pushed(start_any: Callable[..., AnyServer]) -> None:
    server = start_any()
    async with client_of(server.port, timeout_s=30.0) as one, client_of(server.port, timeout_s=30.0) as other:
        one.listener = listening = Pushed()
        assert await one.pipeline(("GET", "k"), ("PTTL", "k")) == [None, -2]
        await one.call("SET", "own", 1)
        await other.call("SET", "k", 1)
        await until(lambda: listening.messages)
        assert listening.messages == [[b"invalidate", [b"k"]]]
        await other.call("FLUSHALL")
        await until(lambda: len(listening.messages) > 1)
        assert listening.messages[1:] == [[b"invalidate", None]]


async def test_a_server_that_was_killed_or_hangs_fails_calls_in_time_and_is_found_again(start_any: Callable[..., AnyServer]) -> None:
    server = start_any()
    async with client_of(server.port, connect_timeout_s=0.3) as client:
        await until(lambda: client.connected)
        server.process.kill(signal.SIGSTOP)
        call = client.call("PING")
        with pytest.raises(ScalelabError):
            await call
        with pytest.raises(DependencyDown):
            await client.call("PING")
        server.process.kill(signal.SIGCONT)
        await until(lambda: client.connected)
        assert await client.call("PING") == b"PONG"
        server.process.kill(signal.SIGKILL)
        await until(lambda: not client.connected)
        start_any(port=server.port)
        await until(lambda: client.connected)
        assert await client.call("PING") == b"PONG"


async def test_the_master_is_used_and_followed(start_redis: Callable[..., RedisServer]) -> None:
    first = start_redis()
    second = start_redis("--replicaof", "127.0.0.1", str(first.port))
    async with client_of(second.port, first.port) as client:
        await client.call("SET", "k", 1)
        async with client_of(first.port) as operator:
            await until(lambda: client.connected)
            async with client.exclusive() as connection:
                await connection.call("SET", "k", 2)
            await operator.call("REPLICAOF", "127.0.0.1", second.port)

        with socket.create_connection(("127.0.0.1", second.port), 5) as connection:
            connection.sendall(b"REPLICAOF NO ONE\r\n")
            assert connection.recv(100) == b"+OK\r\n"
        await until(lambda: client._opened is not None and client._opened.server.port == second.port)
        assert await client.call("SET", "k", 3) == b"OK"


async def test_tls_is_verified(start_redis: Callable[..., RedisServer], tmp_path: Path) -> None:
    authority = Authority()
    ca = authority.write_own(tmp_path / "ca.pem")
    both = authority.write(tmp_path / "server.pem", "127.0.0.1")
    certificates = ("--tls-cert-file", str(both), "--tls-key-file", str(both), "--tls-ca-cert-file", str(ca), "--tls-auth-clients", "no")
    server = start_redis(*certificates, "--requirepass", "pw", tls=True)
    from twisted.internet import reactor

    trusting, other = (ServerTLS(reactor, ca=file) for file in (ca, Authority().write_own(tmp_path / "other.pem")))
    async with client_of(
        server.port, secure=trusting.wrap, greeting=Greeting(password="pw"), timeout_s=10.0, connect_timeout_s=10.0
    ) as client:
        assert await client.call("PING") == b"PONG"
        async with client.exclusive() as connection:
            assert await connection.call("PING") == b"PONG"
    async with client_of(server.port, secure=other.wrap, greeting=Greeting(password="pw")) as client:
        with pytest.raises(DependencyDown):
            await client.call("PING")
    wrong = authority.write(tmp_path / "wrong.pem", "elsewhere.example")
    server = start_redis("--tls-cert-file", str(wrong), "--tls-key-file", str(wrong), *certificates[4:], tls=True)
    async with client_of(server.port, secure=trusting.wrap, greeting=Greeting(password="pw")) as client:
        with pytest.raises(DependencyDown):
            await client.call("PING")


async def test_nobody_there_is_told_at_once() -> None:
    async with client_of(free_port()) as client:
        with pytest.raises(DependencyDown):
            await client.call("PING")
