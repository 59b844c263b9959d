"""What was measured, for people and for programs."""

from typing import Any

from scalability.lab.loadgen.recorder import Failure, Second
from scalability.lab.loadgen.run import Measured

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9, 99.99)


def heading(measured: Measured) -> str:
    """What is about to be done, in one line."""
    load, target = measured.load, measured.target
    each = f"{load.requests} requests each" if load.requests is not None else "as many requests as fit"
    limit = f" for {load.duration_s:g} s" if load.duration_s is not None else ""
    over = "" if load.connections == load.clients else f" over {load.connections} connections"
    fresh = "" if target.keep_alive else ", a new connection for each"
    return f"{load.clients} clients{over}, {each}{limit}{fresh}: {target.method.decode()} {target.url}"


def summary(measured: Measured) -> str:
    """The lines that a person reads. Latencies are those of good answers and of timeouts."""
    totals, latency = measured.recorder.totals, measured.recorder.latency
    lines = [f"Success: {totals.success}, Failures: {totals.failed}, Avg Latency: {latency.mean_s:.3f}s"]
    if latency.count:
        shown = zip(PERCENTILES, latency.quantiles(p / 100 for p in PERCENTILES), strict=True)
        lines += [f"{f'p{p:g}':<8}{duration(seconds)}" for p, seconds in shown]
        lines.append(f"{'max':<8}{duration(latency.max_s)}")
    lines.append(f"{measured.requests_per_s:,.1f} requests/s in {measured.elapsed_s:.2f} s over {measured.connections} connections")
    if totals.failures:
        lines.append(
            "errors  " + ", ".join(f"{failure.value}: {totals.failures[failure]}" for failure in Failure if failure in totals.failures)
        )
    if measured.interrupted:
        lines.append("interrupted: requests in flight are not counted")
    return "\n".join(lines)


def as_json(measured: Measured) -> dict[str, Any]:
    """The same and more, as JSON types; every time in seconds."""
    load, target, recorder = measured.load, measured.target, measured.recorder
    totals, latency, failed = recorder.totals, recorder.latency, recorder.failed_latency
    return {
        "url": target.url,
        "method": target.method.decode(),
        "keep_alive": target.keep_alive,
        "clients": load.clients,
        "requests_per_client": load.requests,
        "duration_s": load.duration_s,
        "timeout_s": load.timeout_s,
        "connections": load.connections,
        "connections_opened": measured.connections,
        "interrupted": measured.interrupted,
        "elapsed_s": measured.elapsed_s,
        "requests": totals.requests,
        "success": totals.success,
        "failures": totals.failed,
        "errors": {failure.value: count for failure, count in totals.failures.items()},
        "statuses": {str(status): count for status, count in sorted(totals.statuses.items())},
        "received_bytes": totals.received_bytes,
        "requests_per_s": measured.requests_per_s,
        "latency": _latency(latency),
        "failed_latency": _latency(failed),
        "generator": {"cpu_s": measured.cpu_s, "cpu_share": measured.cpu_s / measured.elapsed_s if measured.elapsed_s else 0.0},
        "seconds": [
            {"at_s": s.at_s, "requests": s.requests, "failures": s.failures, "p50_s": s.p50_s, "p99_s": s.p99_s, "max_s": s.max_s}
            for s in recorder.seconds
        ],
    }


def progress(second: Second, measured: Measured) -> str:
    """One line about a run that goes on."""
    totals, load = measured.recorder.totals, measured.load
    whole = f"/{load.clients * load.requests}" if load.requests is not None else ""
    line = f"{measured.elapsed_s:5.1f} s  {totals.requests}{whole} requests  {second.requests}/s"
    if second.requests > second.failures:
        line += f"  p50 {duration(second.p50_s)}  p99 {duration(second.p99_s)}"
    return line + (f"  failures {totals.failed}" if totals.failed else "")


def duration(seconds: float) -> str:
    """Four digits and a unit that suits them."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.4g} {unit}"
    return f"{seconds * 1e6:.4g} us"


def _latency(histogram: Any) -> dict[str, Any]:
    quantiles = histogram.quantiles(p / 100 for p in PERCENTILES)
    return {
        "count": histogram.count,
        "mean_s": histogram.mean_s,
        **{f"p{p:g}_s": seconds for p, seconds in zip(PERCENTILES, quantiles, strict=True)},
        "max_s": histogram.max_s,
        "cells": [[above, up_to, count] for above, up_to, count in histogram.cells()],
    }
