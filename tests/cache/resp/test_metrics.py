"""RESP's counts are told as they are."""

from scalability.cache.entries import Entries
from scalability.cache.resp.metrics import resp_metrics
from scalability.cache.resp.server import ServerState
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
