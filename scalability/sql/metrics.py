"""A store's numbers for Prometheus."""

from scalability.sql.store import Store
from scalability.telemetry import MetricSet


def store_metrics(store: Store) -> MetricSet:
    """What a store tells Prometheus."""
    counters = store.counters
    metrics = MetricSet()
    metrics.counter_from("scalelab_store_operations_total", "Operations that were committed.", lambda: counters.operations)
    metrics.counter_from("scalelab_store_commits_total", "Transactions that were committed.", lambda: counters.commits)
    metrics.counter_from("scalelab_store_failures_total", "Operations that the engine refused.", lambda: counters.failures)
    metrics.counter_from("scalelab_store_rejected_total", "Operations that met a full backlog.", lambda: counters.rejected)
    metrics.counter_from("scalelab_store_reads_total", "Queries.", lambda: counters.reads)
    metrics.gauge_from("scalelab_store_backlog", "Operations that wait for the writer or run.", lambda: store.backlog)
    metrics.histogram_from(
        "scalelab_store_commit_seconds",
        "From the beginning of a transaction to the return of its commit, the disk's sync included.",
        lambda: counters.commit_seconds,
    )
    return metrics
