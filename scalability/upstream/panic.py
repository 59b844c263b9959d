"""Panic: so few servers are healthy that others are used as well (Envoy's healthy panic threshold)."""

from collections.abc import Sequence

from scalability.upstream import breaker
from scalability.upstream.health import State
from scalability.upstream.server import Server

_OPEN = breaker.State.OPEN


def spare(ready: Sequence[Server], chosen: Sequence[Server], percent: int) -> list[Server]:
    """What of ``ready`` is used besides the healthy ones, which are ``chosen``, when these are less than ``percent`` of all; else nothing.

    Checks that fail everywhere may say more of the checks than of the servers. One that cannot be connected to, whose breaker is open,
    or that was never seen up is none of them. Only the level in use is looked at, the first with a healthy server: no server that
    fails its checks takes the place of a healthy backup.
    """
    counted = [server for server in ready if server.weight and server.health.state is not State.WAITING]
    healthy = [server for server in chosen if server.weight]
    if healthy:
        level = min(server.level for server in healthy)
        counted = [server for server in counted if server.level == level]
        healthy = [server for server in healthy if server.level == level]
    if len(healthy) * 100 >= percent * len(counted):
        return []
    known = set(chosen)
    return [server for server in counted if not (server in known or server.unreachable or server.breaker.state is _OPEN)]
