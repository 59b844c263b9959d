"""What policies counted, for Prometheus. Labels are names of routes and URLs of the configuration, never what a client sent."""

from collections import Counter
from collections.abc import Iterator

from scalability.gateway.access.assembly import Access
from scalability.gateway.rate_limits.shared_cells import SharedCells
from scalability.telemetry.metrics import Kind, MetricSet


def access_metrics(access: Access) -> MetricSet:
    """Of all policies that ``access`` has made, and will."""
    metrics = MetricSet()

    def refused() -> Iterator[tuple[tuple[str, ...], int]]:
        for name, policy in access.policies.items():
            for reason, count in policy.refused.items():
                yield (name, reason), count

    def limited() -> Iterator[tuple[tuple[str, ...], int]]:
        for name, policy in access.policies.items():
            if policy.limits is not None:
                yield (name, "admitted"), policy.limits.admitted
                yield (name, "refused"), policy.limits.refused

    def fetched() -> Iterator[tuple[tuple[str, ...], int]]:
        counts: Counter[tuple[str, ...]] = Counter()
        for remote in access.remotes.values():
            counts[remote.shown, "failed"] += remote.failures
            counts[remote.shown, "fetched"] += remote.fetches - remote.failures
        yield from counts.items()

    def known() -> Iterator[tuple[tuple[str, ...], int]]:
        # two that differ in their query have one name
        counts: Counter[tuple[str, ...]] = Counter()
        for remote in access.remotes.values():
            counts[(remote.shown,)] += len(remote.keys)
        yield from counts.items()

    metrics.readings_from(
        "scalelab_access_refused_total",
        "Requests that a route's policies refused, by the code of the error.",
        Kind.COUNTER,
        ("route", "reason"),
        refused,
    )
    metrics.readings_from(
        "scalelab_rate_limit_requests_total",
        "Requests that rate limits decided on, by what came of it.",
        Kind.COUNTER,
        ("route", "result"),
        limited,
    )
    metrics.gauge_from("scalelab_rate_limit_cells", "Clients that are counted now, of all limits.", lambda: access.cells)
    metrics.counter_from(
        "scalelab_rate_limit_evicted_total", "Clients that were forgotten because there were too many.", lambda: access.evicted
    )
    cells = access.shared_cells
    if cells is not None:
        _add_shared(metrics, access, cells)
    metrics.readings_from(
        "scalelab_jwks_fetches_total", "Fetches of a key set, by what came of it.", Kind.COUNTER, ("url", "result"), fetched
    )
    metrics.readings_from(
        "scalelab_jwks_keys",
        "Keys of a key set that tokens are checked with.",
        Kind.GAUGE,
        ("url",),
        known,
    )
    metrics.readings_from(
        "scalelab_api_keys",
        "API keys in a file.",
        Kind.GAUGE,
        ("file",),
        lambda: (((name,), len(file.ring)) for name, file in access.key_files.items()),
    )
    return metrics


def _add_shared(metrics: MetricSet, access: Access, cells: SharedCells) -> None:
    """Of limits that gateways share."""

    def decided() -> Iterator[tuple[tuple[str, ...], int]]:
        for name, limits in access.shared_limits.items():
            yield (name, "shared"), limits.shared
            yield (name, "local"), limits.alone

    metrics.readings_from(
        "scalelab_rate_limit_decisions_total",
        "Requests that shared limits decided on, by where: local are those that the server was not there for.",
        Kind.COUNTER,
        ("route", "where"),
        decided,
    )
    metrics.gauge_from("scalelab_rate_limit_shared_up", "1 while limits are decided on the server, 0 while locally.", lambda: int(cells.up))
    metrics.gauge_from("scalelab_rate_limit_waiting", "Requests that wait for the server's decision.", lambda: cells.waiting)
    metrics.counter_from("scalelab_rate_limit_transactions_total", "Transactions that went through.", lambda: cells.transactions)
    metrics.counter_from(
        "scalelab_rate_limit_conflicts_total", "Transactions that another gateway came in between of.", lambda: cells.conflicts
    )
    metrics.counter_from(
        "scalelab_rate_limit_timeouts_total", "Requests that the server did not decide on in time.", lambda: cells.timeouts
    )
    metrics.counter_from("scalelab_rate_limit_failures_total", "Times that the server failed or hung.", lambda: cells.failures)
    metrics.counter_from("scalelab_rate_limit_turned_away_total", "Requests that were too many to wait.", lambda: cells.turned_away)
