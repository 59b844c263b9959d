"""What the cache's admin listener tells of RESP."""

from scalability.cache.resp.server import ServerState
from scalability.telemetry.metrics import MetricSet


def resp_metrics(state: ServerState) -> MetricSet:
    """Read from the server's own counts at each scrape."""
    counts = state.counts
    metrics = MetricSet()
    metrics.counter_from("scalelab_cache_resp_commands_total", "Requests over RESP.", lambda: counts.commands)
    metrics.counter_from("scalelab_cache_resp_errors_total", "Those of them that were answered with an error.", lambda: counts.errors)
    metrics.counter_from("scalelab_cache_resp_connections_total", "Clients that were accepted.", lambda: counts.connections)
    metrics.counter_from(
        "scalelab_cache_resp_rejected_total", "Clients refused, as too many were there.", lambda: counts.rejected_connections
    )
    metrics.counter_from("scalelab_cache_resp_protocol_errors_total", "Clients cut for what is no RESP.", lambda: counts.protocol_errors)
    metrics.counter_from(
        "scalelab_cache_resp_slow_readers_total", "Clients cut for not reading their replies.", lambda: counts.slow_readers
    )
    metrics.gauge_from("scalelab_cache_resp_clients", "Clients now.", lambda: len(state.sessions))
    metrics.gauge_from("scalelab_cache_resp_tracking_clients", "Clients that are told of changes.", lambda: state.tracking.clients)
    metrics.gauge_from("scalelab_cache_resp_tracked_keys", "Keys that they have read and are to be told of.", lambda: state.tracking.keys)
    metrics.gauge_from("scalelab_cache_resp_watched_keys", "Keys that transactions depend on.", lambda: len(state.watches))
    metrics.gauge_from("scalelab_cache_resp_queued_bytes", "Bytes of commands that wait for EXEC.", lambda: state.queued.bytes)
    return metrics
