"""``tools/bench.py tail``: what clients feel of one server in four that takes ten times as long, by how servers are chosen.

The servers wait, they do not compute, and the load is far from what the balancer can do: what differs is the choice alone. The rate
is steady whatever the answers do, so that a slow server gets no less of the load because clients wait for it.
"""

from collections.abc import Callable
from contextlib import ExitStack

from scalability.lab.bench.programs import free_port, plugin
from scalability.lab.bench.rounds import Sample, in_turns, middle, ratio
from scalability.lab.bench.steady import SteadyClient, percentile

ALGORITHMS = ("round_robin", "least_request", "peak_ewma")
SERVICE_TIMES_S = (0.005, 0.005, 0.005, 0.05)
"""What each server takes for a request, in seconds."""
RATE_PER_S = 400
WARM_UP_S = 1.0
WANTED = 0.25
"""The most that the p99 of ``peak_ewma`` is to be of that of ``round_robin``."""

Report = Callable[[str], None]


def arm(client: SteadyClient, seconds: float) -> Callable[[], Sample]:
    """A turn: the latencies of ``seconds`` of the load."""

    def run() -> Sample:
        failed = client.failures
        latencies = client.run(seconds)
        p50_s, p99_s = (percentile(latencies, share) if latencies else float("nan") for share in (0.5, 0.99))
        return Sample(len(latencies), client.failures - failed, seconds, p50_s=p50_s, p99_s=p99_s)

    return run


def conclude(taken: dict[str, list[Sample]], report: Report) -> dict[str, object]:
    """Say what each algorithm's median p99 and p50 were, and the p99 beside round robin's."""
    figures: dict[str, dict[str, float]] = {}
    for algorithm, samples in taken.items():
        beside = ratio(samples, taken["round_robin"], _p99)
        p50_ms, p99_ms = middle(samples, _p50) * 1e3, middle(samples, _p99) * 1e3
        figures[algorithm] = {"p50_ms": p50_ms, "p99_ms": p99_ms, "p99_ratio": beside.median}
        wanted = f" (wanted: at most {WANTED})" if algorithm == "peak_ewma" else ""
        report(f"tail: {algorithm:<13} p50 {p50_ms:5.2f} ms, p99 {p99_ms:5.2f} ms, p99 {beside} times round robin's{wanted}")
    return {"benchmark": "tail", "p99_ratio": figures["peak_ewma"]["p99_ratio"], "algorithms": figures}


def tail(rounds: int, seconds: float, report: Report) -> dict[str, object]:
    """The p50 and p99 of clients, for each algorithm in turn, in front of the same four servers."""
    with ExitStack() as running:
        ports = [free_port() for _ in SERVICE_TIMES_S]
        for port, service_time_s in zip(ports, SERVICE_TIMES_S, strict=True):
            running.enter_context(plugin("scalelab-microservice", "--service-time", str(service_time_s), port=port))
        backends = [flag for port in ports for flag in ("--backend", f"127.0.0.1:{port}")]
        arms: dict[str, Callable[[], Sample]] = {}
        for algorithm in ALGORITHMS:
            balancer = running.enter_context(plugin("scalelab-lb", "--algorithm", algorithm, *backends, port=free_port()))
            client = SteadyClient(balancer.port, path=b"/process", rate_per_s=RATE_PER_S)
            running.callback(client.close)
            client.run(WARM_UP_S)
            arms[algorithm] = arm(client, seconds)
        taken = in_turns(arms, rounds, report)
    return conclude(taken, report)


def _p50(sample: Sample) -> float:
    return sample.p50_s


def _p99(sample: Sample) -> float:
    return sample.p99_s
