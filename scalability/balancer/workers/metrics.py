"""What the parent tells of its workers, each by its number."""

from collections.abc import Callable

from scalability.balancer.workers.messages import Report
from scalability.balancer.workers.parent import State, Workers
from scalability.telemetry import Kind, MetricSet


def add_workers(metrics: MetricSet, workers: Workers) -> None:
    """One time series a worker and metric; what a worker's process tells of itself is as old as its last report."""

    def each(read: Callable[[Report], int | float]) -> Callable[[], list[tuple[tuple[str, ...], int | float]]]:
        return lambda: [((str(worker.number),), read(worker.report)) for worker in workers.workers if worker.report is not None]

    metrics.readings_from(
        "scalelab_lb_worker_up",
        "1 for a worker that accepts connections, else 0.",
        Kind.GAUGE,
        ("worker",),
        lambda: (((str(worker.number),), int(worker.state is State.SERVING)) for worker in workers.workers),
    )
    metrics.readings_from(
        "scalelab_lb_worker_restarts_total",
        "How often a worker's process was started again.",
        Kind.COUNTER,
        ("worker",),
        lambda: (((str(worker.number),), worker.restarts) for worker in workers.workers),
    )
    metrics.readings_from(
        "scalelab_lb_worker_open_connections",
        "Clients that are connected to a worker now.",
        Kind.GAUGE,
        ("worker",),
        each(lambda report: report.open_connections),
    )
    metrics.readings_from(
        "scalelab_lb_worker_cpu_seconds_total",
        "User and system time of a worker's process.",
        Kind.COUNTER,
        ("worker",),
        each(lambda report: report.cpu_s),
    )
    metrics.readings_from(
        "scalelab_lb_worker_resident_memory_bytes",
        "Resident memory of a worker's process.",
        Kind.GAUGE,
        ("worker",),
        each(lambda report: report.resident_bytes),
    )
