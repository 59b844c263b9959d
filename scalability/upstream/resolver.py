"""Names to addresses as the machine's own resolver would: /etc/hosts first, then the name servers of /etc/resolv.conf.

twisted.names asks; it neither caches nor looks at ``search`` and ``ndots``, so names must be complete (a Compose
service's name is, a headless Kubernetes service is written with its full name). Both files are read again for each
question, which costs microseconds every other second and needs no watcher.
"""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Any, TypeVar

from twisted.internet import defer
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.error import ConnectError
from twisted.names import dns
from twisted.names.client import Resolver
from twisted.names.error import DNSNameError, DomainError, ResolverError

from scalability.config import Address
from scalability.errors import DependencyDown
from scalability.upstream.discovery.srv import ServiceRecord

TIMEOUTS_S = (1, 2)
"""How long each round over the name servers waits; Twisted's own default is up to 60 s."""
DEADLINE_S = 6.0
"""For one question with all its rounds, so that three dead name servers cannot hold it up for long."""

T = TypeVar("T")


def name_servers(resolv_conf: str) -> list[tuple[str, int]]:
    """The ``nameserver`` lines of a resolv.conf, 127.0.0.1 when there is none (resolv.conf(5))."""
    found = []
    for line in resolv_conf.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) >= 2 and words[0] == "nameserver" and (isIPAddress(words[1]) or isIPv6Address(words[1])):
            found.append((words[1], dns.PORT))
    return found or [("127.0.0.1", dns.PORT)]


def hosts_addresses(hosts: str, name: str) -> tuple[str, ...]:
    """The addresses that a hosts(5) file gives ``name``."""
    name = name.lower().removesuffix(".")
    found = []
    for line in hosts.splitlines():
        words = line.split("#")[0].split()
        if name in (word.lower() for word in words[1:]) and (isIPAddress(words[0]) or isIPv6Address(words[0])):
            found.append(words[0])
    return tuple(dict.fromkeys(found))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        # as for libc: a file that cannot be read is an empty one
        return ""


class NameResolver:
    """Answers ``resolve`` and ``services``. ``server`` asks that name server instead of those of ``resolv_conf``, and no hosts file."""

    def __init__(
        self,
        reactor: Any,
        *,
        server: Address | None = None,
        resolv_conf: Path = Path("/etc/resolv.conf"),
        hosts: Path = Path("/etc/hosts"),
    ) -> None:
        self._reactor = reactor
        self._server = server
        self._resolv_conf = resolv_conf
        self._hosts = hosts

    async def resolve(self, name: str) -> tuple[str, ...]:
        """All IPv4 addresses of ``name``, its IPv6 ones when it has none, () when it has neither or does not exist.

        Raises DependencyDown when no name server says so or otherwise within 6 seconds.
        """
        if isIPAddress(name) or isIPv6Address(name):
            return (name,)
        if self._server is None:
            listed = hosts_addresses(_text(self._hosts), name)
            if listed:
                return tuple(address for address in listed if isIPAddress(address)) or listed
        return await self._asking(partial(self._addresses, name=name))

    async def services(self, name: str) -> tuple[ServiceRecord, ...]:
        """The SRV records of ``name`` (RFC 2782), () when it has none or does not exist; one for the target ``.`` means none.

        The addresses of targets come along where the name server has added them. Raises DependencyDown as ``resolve`` does.
        """
        return await self._asking(partial(self._services, name=name))

    async def _asking(self, ask: Callable[[Resolver], Awaitable[tuple[T, ...]]]) -> tuple[T, ...]:
        """What ``ask`` finds, () where that does not exist, DependencyDown for all the ways to fail."""
        servers = name_servers(_text(self._resolv_conf)) if self._server is None else [(self._server.host, self._server.port)]
        resolver = Resolver(servers=servers, timeout=TIMEOUTS_S, reactor=self._reactor)
        try:
            return await ask(resolver)
        except DNSNameError:
            return ()
        except defer.TimeoutError as error:
            raise DependencyDown("no name server answered in time") from error
        except (DomainError, ResolverError) as error:
            raise DependencyDown(f"the name server failed ({type(error).__name__})") from error
        except (OSError, ConnectError) as error:
            raise DependencyDown("no name server could be asked") from error
        finally:
            for connection in resolver.connections:
                # left open by an answer that was too long for a datagram
                connection.transport.loseConnection()

    async def _addresses(self, resolver: Resolver, name: str) -> tuple[str, ...]:
        answers, _, _ = await resolver.lookupAddress(name).addTimeout(DEADLINE_S, self._reactor)
        # CNAME records on the way to the addresses are in there too
        four = addresses_in(answers, dns.Record_A)
        if four:
            return four
        answers, _, _ = await resolver.lookupIPV6Address(name).addTimeout(DEADLINE_S, self._reactor)
        return addresses_in(answers, dns.Record_AAAA)

    async def _services(self, resolver: Resolver, name: str) -> tuple[ServiceRecord, ...]:
        answers, _, additional = await resolver.lookupService(name).addTimeout(DEADLINE_S, self._reactor)
        added: dict[bytes, list[dns.RRHeader]] = {}
        for record in additional:
            added.setdefault(record.name.name.lower(), []).append(record)
        found = []
        for record in (answer.payload for answer in answers):
            if isinstance(record, dns.Record_SRV) and record.target.name not in (b"", b".") and record.port:
                known = added.get(record.target.name.lower(), ())
                addresses = addresses_in(known, dns.Record_A) or addresses_in(known, dns.Record_AAAA)
                target = record.target.name.decode("ascii", "replace").removesuffix(".")
                found.append(ServiceRecord(record.priority, record.weight, record.port, target, addresses))
        return tuple(dict.fromkeys(found))


def addresses_in(records: Iterable[dns.RRHeader], kind: type[dns.Record_A | dns.Record_AAAA]) -> tuple[str, ...]:
    """The addresses in the records of this ``kind``, each once."""
    family = AF_INET if kind is dns.Record_A else AF_INET6
    payloads: Iterable[Any] = (record.payload for record in records)
    packed: Iterable[Any] = (payload.address for payload in payloads if isinstance(payload, kind))
    return tuple(dict.fromkeys(inet_ntop(family, address) for address in packed))
