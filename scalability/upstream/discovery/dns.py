"""Servers that DNS names, asked for again and again.

A name that cannot be resolved (timeout, SERVFAIL) changes nothing: the last good set stays. One that names no server any more
(NXDOMAIN, an empty answer) must say so three times in a row before its servers are let go (``belief.py``).
"""

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from scalability.config import Address
from scalability.errors import DependencyDown
from scalability.lifecycle import Ticker
from scalability.upstream.discovery.backend import MAX_SERVERS, DNSName
from scalability.upstream.discovery.belief import Belief
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec

INTERVAL_S = 2.0

Find = Callable[[], Awaitable[Sequence[ServerSpec]]]
"""The servers of a name, in an order that does not depend on the answer's; empty when there are none. Raises DependencyDown when that
cannot be found out."""

Resolve = Callable[[str], Awaitable[tuple[str, ...]]]
"""All addresses of a name, () when it has none or does not exist. Raises DependencyDown when that cannot be found out."""


def check_resolver(address: Address) -> None:
    """Raise ValueError, ``resolver: why``, when no name server can be asked there."""
    try:
        ip_address(address.host)
    except ValueError:
        raise ValueError(f"resolver: {address.host!r} is not an IP address") from None
    if not address.port:
        raise ValueError("resolver: no name server listens on port 0")


def addresses_of(name: DNSName, resolve: Resolve) -> Find:
    """A server for each address of ``name``."""
    spec = name.spec

    async def find() -> Sequence[ServerSpec]:
        # sorted: answers come rotated
        return [spec._replace(address=Address(found, spec.address.port)) for found in sorted(await resolve(spec.address.host))]

    return find


class DNSDiscovery(Ticker):
    """Keeps ``upstream`` at the servers that ``find`` finds, asking every ``interval_s`` seconds; ``source`` is their name, for people.

    It goes on where ``before``, which must be stopped, has left off.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        source: str,
        find: Find,
        upstream: Upstream,
        *,
        interval_s: float = INTERVAL_S,
        before: "DNSDiscovery | None" = None,
    ) -> None:
        super().__init__(clock, interval_s, self.ask, grace_s=0.1)
        self._source = source
        self._find = find
        self._upstream = upstream
        self._belief: Belief[ServerSpec] = Belief() if before is None else before._belief
        self._trouble = ""

    async def ask(self) -> None:
        """Ask once and act on the answer by the rules above."""
        before = self._belief.held
        try:
            found = await self._find()
        except DependencyDown as error:
            if not self.running:
                return
            # neither a sign of absence nor of presence
            self._say(f"it cannot be resolved: {error}")
            return
        if not self.running:
            return  # stopped meanwhile: another may speak for the source by now
        if not self._belief.heard(found[:MAX_SERVERS]):
            self._say("it names no server just now")
            return
        if not found:
            self._say("it names no server")
        elif len(found) > MAX_SERVERS:
            self._say(f"it names {len(found)} servers, of which the first {MAX_SERVERS} are taken")
        else:
            self._trouble = ""
        specs = self._belief.held
        if specs == before:
            return
        self.log.info("{source} is {servers}", source=self._source, servers=" ".join(map(str, specs)) or "nothing")
        self._upstream.name_servers(self._source, specs, trusted=False)

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self.log.warn("{source}: {trouble}; servers kept: {kept}", source=self._source, trouble=trouble, kept=len(self._belief.held))
