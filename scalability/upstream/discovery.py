"""Where servers come from: named in the configuration, or the addresses of a DNS name, asked for again and again.

A DNS name that cannot be resolved (timeout, SERVFAIL) changes nothing: the last good set stays. A name that has no
address any more (NXDOMAIN, an empty answer) must say so three times in a row before its servers are let go: resolvers lie
for a moment while they restart. New addresses take traffic after one passed check; addresses that are gone drain.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, Self

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from scalability.config import Address
from scalability.errors import DependencyDown
from scalability.lifecycle import Ticker
from scalability.upstream.servers import ServerSpec, Upstream

INTERVAL_S = 2.0
ABSENT_LIMIT = 3

Resolve = Callable[[str], Awaitable[tuple[str, ...]]]
"""All addresses of a name, () when it has none or does not exist. Raises DependencyDown when that cannot be found out."""


class Backend(NamedTuple):
    """What ``--backend`` names: one server, or with ``dns:`` each address of a name."""

    spec: ServerSpec
    dns: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``HOST:PORT`` or ``dns:NAME:PORT``, either with ``,weight=N`` and ``,tls``. Raises ValueError, saying what is wrong."""
        rest = text.removeprefix("dns:")
        if rest != text and ":" in rest:
            spec = ServerSpec.parse(rest)
            try:
                spec.address.host.encode("idna")
            except UnicodeError:
                raise ValueError(f"{text!r}: {spec.address.host!r} is not a DNS name") from None
            return cls(spec, True)
        # "dns:5000" is a host of that name
        return cls(ServerSpec.parse(text))

    def __str__(self) -> str:
        return f"dns:{self.spec}" if self.dns else str(self.spec)


def name_static(upstream: Upstream, backends: Iterable[Backend]) -> None:
    """Tell ``upstream`` of the servers that the configuration names. They take traffic before their first check."""
    upstream.name_servers("configuration", [backend.spec for backend in backends if not backend.dns], trusted=True)


class DNSDiscovery(Ticker):
    """Keeps ``upstream`` at the addresses of ``backend``'s name, asking every ``interval_s`` seconds."""

    log = Logger()

    def __init__(
        self, clock: IReactorTime, backend: Backend, resolve: Resolve, upstream: Upstream, *, interval_s: float = INTERVAL_S
    ) -> None:
        super().__init__(clock, interval_s, self.ask, grace_s=0.1)
        self._source = str(backend)
        self._spec = backend.spec
        self._resolve = resolve
        self._upstream = upstream
        self._known: frozenset[str] = frozenset()
        self._absent = 0
        self._trouble = ""

    async def ask(self) -> None:
        """Ask once and act on the answer by the rules above."""
        try:
            found = await self._resolve(self._spec.address.host)
        except DependencyDown as error:
            # neither a sign of absence nor of presence
            self._say(f"it cannot be resolved: {error}")
            return
        if not found:
            self._absent += 1
            if self._known and self._absent < ABSENT_LIMIT:
                self._say("it has no address just now")
                return
            self._say("it has no address")
        else:
            self._absent = 0
            self._trouble = ""
        addresses = frozenset(found)
        if addresses == self._known:
            return
        self._known = addresses
        self.log.info("{source} is {addresses}", source=self._source, addresses=", ".join(sorted(addresses)) or "nothing")
        port, weight = self._spec.address.port, self._spec.weight
        # sorted: answers come rotated, and the order of servers should not change with each of them
        specs = [ServerSpec(Address(address, port), weight, self._spec.tls) for address in sorted(addresses)]
        self._upstream.name_servers(self._source, specs, trusted=False)

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self.log.warn("{source}: {trouble}; servers kept: {kept}", source=self._source, trouble=trouble, kept=len(self._known))
