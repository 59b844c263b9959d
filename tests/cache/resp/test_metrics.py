"""RESP's counts are told as they are."""

from scalability.cache.entries import Entries
from scalability.cache.resp.metrics import resp_metrics
from scalability.cache.resp.server import ServerState
from scalability.testing.resp_network import RespNetwork
from scalability.ttlcache import TTLCache


def test_counts() -> None:
    state = ServerState(Entries(TTLCache(max_bytes=1 << 20), lambda: 0.0), {}, draw=lambda: 0.5)
    metrics = resp_metrics(state)
    state.open("a", print)
    state.counts.commands = 5
    told = {sample.name: sample.value for family in metrics.collect() for sample in family.samples}
    assert told["scalelab_cache_resp_commands_total"] == 5
    assert told["scalelab_cache_resp_connections_total"] == 1
    assert told["scalelab_cache_resp_clients"] == 1


def test_what_sessions_hold() -> None:
    network = RespNetwork()
    client = network.client(resp3=True)
    client.run("CLIENT", "TRACKING", "ON")
    client.run("MGET", "a", "b")
    client.run("WATCH", "c")
    client.run("MULTI")
    client.run("PING")
    told = {sample.name: sample.value for family in resp_metrics(network.state).collect() for sample in family.samples}
    held = ("tracking_clients", "tracked_keys", "watched_keys", "queued_bytes")
    assert [told[f"scalelab_cache_resp_{name}"] for name in held] == [1, 2, 1, network.state.queued.bytes]
