"""INFO, as tools read it."""

import pytest

from scalability.cache.resp.info import SECTIONS
from scalability.testing.resp_network import RespClient, RespNetwork


@pytest.fixture
def network() -> RespNetwork:
    return RespNetwork(max_entries=10, settings={"maxmemory-policy": "allkeys-s3fifo"})


@pytest.fixture
def client(network: RespNetwork) -> RespClient:
    return network.client()


def told(client: RespClient, *sections: str) -> dict[str, str]:
    text = client.run("INFO", *sections).split(b"\r\n", 1)[1].decode()
    return dict(line.split(":", 1) for line in text.splitlines() if line and not line.startswith("#"))


def headings(client: RespClient, *sections: str) -> list[str]:
    return [line[2:] for line in client.run("INFO", *sections).decode().splitlines() if line.startswith("# ")]


def test_all_sections_or_some(client: RespClient) -> None:
    assert headings(client) == list(SECTIONS)
    assert headings(client, "everything") == headings(client, "all", "memory") == list(SECTIONS)
    assert headings(client, "MEMORY", "clients", "none") == ["Clients", "Memory"]
    assert client.run("INFO", "none") == b"$0\r\n\r\n"


def test_the_text_is_verbatim_in_resp3(network: RespNetwork) -> None:
    client = network.client(resp3=True)
    reply = client.run("INFO", "cluster")
    assert reply == b"=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n"


def test_server_and_clients(network: RespNetwork, client: RespClient) -> None:
    network.advance(100_000)
    other = network.client()
    other.run("WATCH", "a", "b")
    other.run("CLIENT", "TRACKING", "ON")
    info = told(client)
    assert info["redis_version"] == "7.4.0"
    assert (info["uptime_in_seconds"], info["uptime_in_days"]) == ("100000", "1")
    assert info["tcp_port"] == "6379"
    assert (info["connected_clients"], info["tracking_clients"], info["watching_clients"], info["total_watched_keys"]) == (
        "2",
        "1",
        "1",
        "2",
    )
    assert info["role"] == "master"


def test_memory_and_keyspace(network: RespNetwork, client: RespClient) -> None:
    assert "db0" not in told(client)
    client.run("SET", "a", "1")
    info = told(client, "memory", "keyspace", "cpu")
    assert info["used_memory"] == str(network.cache.bytes)
    assert info["maxmemory"] == str(1 << 24)
    assert info["maxmemory_human"] == "16.00M"
    assert info["maxmemory_policy"] == "allkeys-s3fifo"
    assert info["db0"] == "keys=1,expires=0,avg_ttl=0"
    client.run("SET", "b", "1", "EX", 100)
    client.run("SET", "c", "1", "EX", 100)
    assert told(client)["db0"] == "keys=3,expires=2,avg_ttl=0"
    client.run("PERSIST", "b")
    assert told(client)["db0"] == "keys=3,expires=1,avg_ttl=0"
    assert float(info["used_cpu_user"]) > 0


def test_statistics(network: RespNetwork, client: RespClient) -> None:
    client.run("SET", "a", "1", "EX", 1)
    client.run("GET", "a")
    client.run("GET", "b")
    network.advance(2)
    client.run("GET", "a")
    for number in range(15):
        client.run("SET", number, "1")
    client.run("FOO")
    info = told(client, "stats")
    assert (info["keyspace_hits"], info["keyspace_misses"], info["expired_keys"]) == ("1", "2", "1")
    assert info["evicted_keys"] == "5"
    assert info["total_error_replies"] == "1"
    assert info["total_connections_received"] == "1"
    assert info["total_commands_processed"] == "22"
