"""Servers that the SRV records of a name list (RFC 2782): where each listens, how much of the traffic it gets, and when.

``priority`` becomes the level: the lowest is level 0, the next one the first level of backups, whatever the numbers are. ``weight``
(0 to 65535) becomes a weight from 1 to 256 in the same proportion to the others of its level. A target that cannot be resolved just now,
or has no address for less than three answers in a row, keeps the addresses that it had.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults

from scalability.config import Address
from scalability.errors import DependencyDown
from scalability.upstream.discovery.backend import ServiceName
from scalability.upstream.discovery.belief import Belief
from scalability.upstream.discovery.dns import Resolve
from scalability.upstream.spec import MAX_LEVEL, MAX_WEIGHT, ServerSpec

AT_ONCE = 16
"""As many targets are asked for at once."""


class ServiceRecord(NamedTuple):
    """Where a service is offered (RFC 2782)."""

    priority: int
    """Those of the lowest come first."""
    weight: int
    """The share among those of the same priority, 0 to 65535."""
    port: int
    target: str
    """The name of the host."""
    addresses: tuple[str, ...] = ()
    """Those of ``target`` that came along; () when it must be asked for them."""


Services = Callable[[str], Awaitable[Sequence[ServiceRecord]]]
"""The SRV records of a name, () when it has none or does not exist. Raises DependencyDown when that cannot be found out."""


class ServiceTargets:
    """Finds the servers of ``service``; a ``Find`` of ``DNSDiscovery``."""

    def __init__(self, service: ServiceName, services: Services, resolve: Resolve) -> None:
        self._service = service
        self._services = services
        self._resolve = resolve
        self._targets: dict[str, Belief[str]] = {}

    async def __call__(self) -> Sequence[ServerSpec]:
        """See ``Find``. An address and port that several records lead to is a server of the first of them."""
        records = sorted(await self._services(self._service.name))
        if not records:
            return []  # perhaps it is not believed: what is known of the targets stays
        self._targets = {record.target: self._targets.get(record.target) or Belief() for record in records}
        unknown = await self._resolve_all(records)
        found: dict[Address, ServerSpec] = {}
        for spec in self._specs(records):
            found.setdefault(spec.address, spec)
        if unknown and not found:
            raise DependencyDown(f"the addresses of its targets cannot be found out: {unknown}")
        return list(found.values())

    async def _resolve_all(self, records: Iterable[ServiceRecord]) -> str:
        """Find the addresses of every target; why one is unknown, or nothing."""
        asked: list[str] = []
        for record in records:
            if record.addresses:
                self._targets[record.target].heard(sorted(record.addresses))
            else:
                asked.append(record.target)
        slots = DeferredSemaphore(AT_ONCE)
        asking = [slots.run(self._resolve_one, target) for target in dict.fromkeys(asked)]
        troubles: list[str] = await gatherResults(asking, consumeErrors=True)
        return next(filter(None, troubles), "")

    def _resolve_one(self, target: str) -> Deferred[str]:
        async def resolve() -> str:
            belief = self._targets[target]
            try:
                belief.heard(sorted(await self._resolve(target)))
            except DependencyDown as error:
                return "" if belief.held else f"{target}: {error}"
            return ""

        return Deferred.fromCoroutine(resolve())

    def _specs(self, records: Sequence[ServiceRecord]) -> Iterable[ServerSpec]:
        service = self._service
        levels = {priority: min(level, MAX_LEVEL) for level, priority in enumerate(dict.fromkeys(record.priority for record in records))}
        heaviest = heaviest_of(records)
        for record in records:
            tls = (service.certificate or record.target) if service.tls else ""
            weight = scaled(record.weight, heaviest[record.priority])
            for address in self._targets[record.target].held:
                yield ServerSpec(
                    Address(address, record.port), weight, tls, levels[record.priority], service.max_active, service.max_connections
                )


def heaviest_of(records: Iterable[ServiceRecord]) -> Mapping[int, int]:
    """The largest weight of each priority."""
    found: dict[int, int] = {}
    for record in records:
        found[record.priority] = max(found.get(record.priority, 0), record.weight)
    return found


def scaled(weight: int, heaviest: int) -> int:
    """A record's weight as a server's, when ``heaviest`` is the largest among its equals.

    Small weights stay what they are. HAProxy divides all of them by 256, which makes 10 and 90 equal.
    """
    if heaviest > MAX_WEIGHT:
        weight = round(weight * MAX_WEIGHT / heaviest)
    return max(1, weight)
