"""``scalelab-cache`` over RESP as a real process, with the clients that people use: redis-cli, redis-benchmark, redis-py."""

import asyncio
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.cache import CacheConfig

from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process
from scalability.testing.redis_process import request

Start = Callable[..., Process]


@pytest.fixture
def port(start: Start) -> int:
    return start("scalelab-cache").wait_resp()


@pytest.fixture
def client(port: int) -> Iterator[Any]:
    with redis.Redis(port=port, decode_responses=True) as connected:
        yield connected


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def cli(port: int, *words: str, given: str | None = None) -> str:
    command = [program("redis-cli"), "-p", str(port), *words]
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=20, check=False).stdout


def test_redis_cli_once_and_by_pipe(port: int) -> None:
    assert cli(port, "SET", "a", "1") == "OK\n"
    assert cli(port, "GET", "a") == "1\n"
    assert cli(port, "-3", "HELLO").startswith("server redis\nversion 7.4.0\nproto 3\n")
    assert cli(port, "lpush", "a", "b").startswith("ERR 'lpush' is not supported: this server keeps strings that expire")
    assert cli(port, "--pipe", given="SET b 1\r\nINCR b\r\nGET b\r\n").splitlines()[-1] == "errors: 0, replies: 3"
    assert cli(port, "--scan", "--pattern", "[ab]").split() in (["a", "b"], ["b", "a"])
    assert cli(port, given="MULTI\nINCR b\nEXEC\n") == "OK\nQUEUED\n3\n"


@pytest.mark.parametrize("name", ["redis-cli", "valkey-cli"])
@pytest.mark.parametrize("what", ["--bigkeys", "--memkeys"])
def test_the_largest_keys_are_found(port: int, name: str, what: str) -> None:
    cli(port, "SET", "small", "1")
    cli(port, "SET", "large", "x" * 1000)
    told = subprocess.run([program(name), "-p", str(port), what], capture_output=True, text=True, timeout=20, check=False)
    assert re.search(r"Biggest string found [\"']+large[\"']+ has 1\d+ bytes", told.stdout), told


def test_redis_cli_in_a_terminal_has_help_of_our_commands(port: int) -> None:
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "dumb"}
    process = subprocess.Popen([program("redis-cli"), "-p", str(port)], stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    shown = b""
    try:
        os.write(master, b"help persist\nget nothing\n")
        ends = time.monotonic() + 20
        while b"(nil)" not in shown and time.monotonic() < ends:
            if select.select([master], [], [], 0.1)[0]:
                shown += os.read(master, 65536)
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert b"summary:" in shown
    assert b"(nil)" in shown


def test_redis_benchmark(port: int) -> None:
    command = [program("redis-benchmark"), "-p", str(port), "-t", "ping,set,get,incr,mset", "-n", "500", "-c", "10", "-P", "4", "-q"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 0
    told = re.findall(r"(\w+)(?: \(10 keys\))?: [\d.]+ requests per second", finished.stdout)
    assert told == ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET"]
    assert "ERR" not in finished.stdout + finished.stderr


def test_redis_py_speaks_resp3(client: Any) -> None:
    assert client.ping()
    assert client.set("a", "1", ex=100)
    assert client.get("a") == "1"
    assert 99 <= client.ttl("a") <= 100
    with client.pipeline() as pipe:
        assert pipe.set("b", 1).incr("b").get("b").execute() == [True, 2, "2"]
    for number in range(2500):
        client.set(f"key:{number}", number)
    assert set(client.scan_iter("key:*", count=100)) == {f"key:{number}" for number in range(2500)}
    (told,) = client.client_list()
    assert (told["resp"], told["lib-name"]) == ("3", "redis-py")
    assert client.command()["get"]["first_key_pos"] == 1
    assert client.config_get("maxmemory") == {"maxmemory": str(256 << 20)}
    with pytest.raises(redis.ResponseError, match="'lpush' is not supported"):
        client.lpush("a", 1)


def test_redis_py_reads_info(client: Any) -> None:
    client.set("a", "1")
    client.get("a")
    client.get("b")
    info = client.info()
    assert info["redis_version"] == "7.4.0"
    assert info["db0"] == {"keys": 1, "expires": 0, "avg_ttl": 0}
    assert (info["keyspace_hits"], info["keyspace_misses"]) == (1, 1)
    assert info["used_memory_rss"] > 1 << 20
    assert (info["role"], info["connected_clients"]) == ("master", 1)


def test_redis_py_in_resp2(port: int) -> None:
    with redis.Redis(port=port, protocol=2) as client:
        assert client.get("a") is None
        assert client.transaction(lambda pipe: pipe.incr("a")) == [1]
        assert client.info("server")["server_name"] == "scalelab-cache"
        assert client.command_count() > 50


def test_many_clients_count_up_by_watching(port: int) -> None:
    threads, times = 4, 25

    def add(pipe: Any) -> None:
        value = int(pipe.get("n") or 0)
        pipe.multi()
        pipe.set("n", value + 1)

    def count() -> None:
        with redis.Redis(port=port) as client:
            for _ in range(times):
                client.transaction(add, "n")

    running = [threading.Thread(target=count) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(30)
    with redis.Redis(port=port) as client:
        assert client.get("n") == b"%d" % (threads * times)


def test_client_side_caching_of_redis_py_is_told_of_changes(port: int, client: Any) -> None:
    client.set("a", "1")
    with redis.Redis(port=port, protocol=3, cache_config=CacheConfig(), decode_responses=True) as caching:
        assert caching.get("a") == "1"
        before = client.info("stats")["total_commands_processed"]
        assert caching.get("a") == "1"
        assert client.info("stats")["total_commands_processed"] == before + 1, "only INFO itself was asked"
        client.set("a", "2")
        ends = time.monotonic() + 5
        while caching.get("a") != "2":
            assert time.monotonic() < ends


def test_redis_py_with_asyncio(port: int) -> None:
    async def run() -> list[Any]:
        async with redis.asyncio.Redis(port=port) as client:
            await client.set("a", 1)
            async with client.pipeline(transaction=True) as pipe:
                pipe.incr("a")
                pipe.get("a")
                answers: list[Any] = await pipe.execute()
            return answers

    assert asyncio.run(run()) == [2, b"2"]


def broken(client: Any, change: Callable[[], object]) -> bool:
    """Whether ``change`` of the watched key ``a`` keeps a transaction from being run."""
    with client.pipeline() as pipe:
        pipe.watch("a")
        change()
        pipe.multi()
        pipe.set("done", 1)
        try:
            pipe.execute()
        except redis.WatchError:
            return not client.exists("done")
    return False


def test_a_transaction_is_broken_by_a_change_over_http_and_by_expiry(start: Start, http: HTTPClient) -> None:
    server = start("scalelab-cache", "--sweep-interval", "0.1")
    port, web = server.wait_resp(), server.wait_listening()
    with redis.Redis(port=port) as client:
        client.set("a", 1)
        assert broken(client, lambda: http.post(web, "/cache/a", json={"value": 2, "ttl": 60}))
        client.set("a", 1, px=300)
        assert broken(client, lambda: time.sleep(0.5))
        assert not broken(client, lambda: client.get("a"))


def test_a_password_is_asked_for(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    port = start("scalelab-cache", "--resp-password-file", str(file)).wait_resp()
    with redis.Redis(port=port) as client, pytest.raises(redis.AuthenticationError):
        client.get("a")
    with redis.Redis(port=port, password="wrong") as client, pytest.raises(redis.AuthenticationError):
        client.get("a")
    with redis.Redis(port=port, password="first") as client, redis.Redis(port=port, username="default", password="second") as later:
        assert client.get("a") is None
        file.write_text("second\n")
        assert later.get("a") is None
        assert client.get("a") is None, "who was in stays in"
    assert cli(port, "-a", "second", "--no-auth-warning", "PING") == "PONG\n"
    assert cli(port, "PING") == "NOAUTH Authentication required.\n\n"


def test_a_killed_client_is_gone_and_its_messages_with_it(port: int, client: Any) -> None:
    with socket.create_connection(("127.0.0.1", port)) as other:
        other.settimeout(10)
        other.sendall(request("HELLO", 3) + request("CLIENT", "TRACKING", "ON", "BCAST") + request("CLIENT", "ID"))
        received = b""
        while (match := re.search(rb"\+OK\r\n:(\d+)\r\n$", received)) is None:
            received += other.recv(65536)
        assert client.info("clients")["tracking_clients"] == 1
        assert client.client_kill_filter(_id=match[1].decode()) == 1
        assert other.recv(65536) == b""
    client.set("a", "1")
    assert client.info("clients")["tracking_clients"] == 0


def test_the_server_ends_on_sigterm_in_the_middle_of_transactions(start: Start) -> None:
    server = start("scalelab-cache")
    port = server.wait_resp()
    with socket.create_connection(("127.0.0.1", port)) as other:
        other.settimeout(10)
        other.sendall(request("WATCH", "a") + request("MULTI") + request("SET", "a", "1"))
        received = b""
        while not received.endswith(b"QUEUED\r\n"):
            received += other.recv(65536)
        assert server.stop() == -signal.SIGTERM
        assert other.recv(65536) == b""
    assert "Traceback" not in server.output
