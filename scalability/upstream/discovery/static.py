"""Servers that the configuration names one by one."""

from collections.abc import Iterable

from scalability.upstream.discovery.backend import Backend
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec


def name_static(upstream: Upstream, backends: Iterable[Backend], *, trusted: bool = True) -> None:
    """Tell ``upstream`` of the servers that ``backends`` name themselves. ``trusted`` ones take traffic before their first check."""
    specs = [backend.source for backend in backends if isinstance(backend.source, ServerSpec)]
    upstream.name_servers("configuration", specs, trusted=trusted)
