"""The balancer and its servers as JSON: what is decided about each of them, beside what the processes that serve clients did with it."""

from collections.abc import Iterable, Sequence
from typing import Any

from scalability.balancer.use import ServerUse, Use
from scalability.upstream.history import KEPT, CheckResult
from scalability.upstream.server import Server
from scalability.upstream.servers import Upstream

WORST_FIRST = ("open", "half-open", "closed")
"""The state of several processes' breakers is the worst of them."""


def status(upstream: Upstream, algorithm: str, uses: Sequence[Use], now: float) -> dict[str, Any]:
    """Everything. Numbers of several processes are added up; ``now`` is in Unix seconds, as all times that are told."""
    upstream.settle()
    known = {server.name for server in upstream}
    uses_of = by_server(uses)
    leaving = [name for name, each in uses_of.items() if name not in known and any(use.leaving for _, use in each)]
    processes = [use.process for use in uses if use.worker or len(uses) == 1]
    opened: dict[str, int] = {}
    for process in processes:
        for protocol, count in process.tunnels_opened.items():
            opened[protocol] = opened.get(protocol, 0) + count
    rules = upstream.rules
    return {
        "at": round(now, 3),
        "algorithm": algorithm,
        "panic": any(process.panic for process in processes),
        "workers": len([use for use in uses if use.worker]),
        "servers": [described(server, upstream, uses_of.get(server.name, ()), now, checks=1) for server in upstream]
        + [{"name": name, "state": "leaving", **used(uses_of[name])} for name in leaving],
        "queue": {
            "length": sum(process.waiting for process in processes),
            "greatest": max((process.greatest for process in processes), default=0),
            "entered": sum(process.entered for process in processes),
            "refused": sum(process.refused for process in processes),
            "expired": sum(process.expired for process in processes),
            "limit": rules.max_waiting,
            "timeout_s": rules.queue_timeout_s,
        },
        "retries": {
            "attempts": sum(process.retries for process in processes),
            "allowed": sum(process.allowed for process in processes),
            "denied": sum(process.denied for process in processes),
            "in_use": sum(process.in_use for process in processes),
            "waiting": sum(process.retries_waiting for process in processes),
            "budget_percent": max((process.percent for process in processes), default=0),
            "budget_least": max((process.min_concurrent for process in processes), default=0),
        },
        "shedding": {
            "fraction": max((process.shed_fraction for process in processes), default=0.0),
            "lag_s": max((process.lag_s for process in processes), default=0.0),
            "shed": sum(process.shed for process in processes),
        },
        "tunnels": {"open": sum(process.tunnels for process in processes), "opened": opened},
    }


def by_server(uses: Iterable[Use]) -> dict[str, list[tuple[int, ServerUse]]]:
    """What each process, by its number, did with each server, by its name."""
    found: dict[str, list[tuple[int, ServerUse]]] = {}
    for use in uses:
        for server in use.servers:
            found.setdefault(server.name, []).append((use.worker, server))
    return found


def described(
    server: Server, upstream: Upstream, uses: Iterable[tuple[int, ServerUse]], now: float, *, checks: int = KEPT
) -> dict[str, Any]:
    """One server that a source names, with its last ``checks``. All of them of 4,000 servers would keep the event loop for 0.1 s.

    ``now`` is in Unix seconds, as all times that are told; what is known of the server are times of the upstream's clock.
    """
    ahead_s = now - upstream.seconds()
    return {
        "name": server.name,
        "state": server.health.state.value,
        **wanted(server),
        "share": round(server.share, 3),
        "level": server.level,
        "max_active": server.max_active,
        "max_connections": server.spec.max_connections,
        "tls": server.tls,
        "unreachable": server.unreachable,
        "ejected": ejection(server, upstream, ahead_s),
        **used(uses),
        "checks": {
            "passed": server.counts.checks_passed,
            "failed": server.counts.checks_failed,
            "went_down": server.counts.went_down,
            "last": server.last_check,
            "last_failure": None if server.history.last_failure is None else checked(server.history.last_failure, ahead_s),
            "results": [checked(result, ahead_s) for result in list(server.history)[-checks:]],
        },
    }


def wanted(server: Server) -> dict[str, Any]:
    """What an operator has set, or could."""
    return {"mode": server.mode.value, "weight": server.weight, "configured_weight": server.spec.weight}


def ejection(server: Server, upstream: Upstream, ahead_s: float) -> dict[str, Any] | None:
    """Why no request is sent to ``server`` because of how the last ones ended; None while it is not ejected.

    ``ahead_s`` is how many seconds Unix time is ahead of the upstream's clock.
    """
    standing = upstream.ejections.standing(server)
    if not server.ejected or standing is None or standing.cause is None:
        return None
    return {
        "cause": standing.cause.value,
        "since": round(standing.since_s + ahead_s, 3),
        "until": round(standing.until_s + ahead_s, 3),
        "times": standing.times,
    }


def checked(result: CheckResult, ahead_s: float) -> dict[str, Any]:
    """One check; ``ahead_s`` as above."""
    return {
        "at": round(result.at_s + ahead_s, 3),
        "duration_s": round(result.duration_s, 6),
        "passed": result.passed,
        "status": result.status,
        "what": result.what,
    }


def used(uses: Iterable[tuple[int, ServerUse]]) -> dict[str, Any]:
    """What was sent to one server; with several processes, each one's breaker and average stand beside the sums."""
    each = list(uses)
    failures: dict[str, int] = {}
    for _, use in each:
        for code, count in use.failures.items():
            failures[code] = failures.get(code, 0) + count
    told: dict[str, Any] = {
        "active": sum(use.active for _, use in each),
        "requests": sum(use.requests for _, use in each),
        "failures": failures,
        "connections": {"idle": sum(use.idle for _, use in each), "busy": sum(use.busy for _, use in each)},
        "answers": {"count": sum(use.answered for _, use in each), "seconds": round(sum(use.answered_s for _, use in each), 6)},
        "ewma_s": max((use.ewma_s for _, use in each if use.ewma_s is not None), default=None),
        "breaker": {
            "state": min((use.breaker for _, use in each), key=WORST_FIRST.index, default="closed"),
            "requests": sum(use.breaker_requests for _, use in each),
            "failures": sum(use.breaker_failures for _, use in each),
            "opened": sum(use.opened for _, use in each),
            "open_for_s": max((use.open_for_s for _, use in each), default=0.0),
        },
    }
    workers = [
        {"worker": worker, "active": use.active, "requests": use.requests, "ewma_s": use.ewma_s, "breaker": use.breaker}
        for worker, use in each
        if worker
    ]
    if workers:
        told["workers"] = workers
    return told
