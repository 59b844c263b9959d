"""Whom to believe about where a request comes from (rule 45): networks, and the client behind trusted proxies."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import islice
from typing import Final

from scalability.http1.request_head import RequestHead

MAX_HOPS: Final = 64
"""Entries of X-Forwarded-For that are looked at, from the right: more proxies than that nobody has."""

_PORT: Final = re.compile(rb"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")
_FOR: Final = re.compile(rb'for=(?:"([^"\\]*)"|([^\s";,]*))', re.IGNORECASE)
_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"')
_WELL_QUOTED: Final = re.compile(rb'[^"]*+(?:"(?:[^"\\]|\\.)*+"[^"]*+)*+')


class Networks:
    """A set of IP networks that knows whether an address, as text, lies in it. What is not an address never does."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network] = ()) -> None:
        self._networks = tuple(networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, host: bytes) -> bool:
        if not self._networks:
            return False
        address = address_of(host)
        return address is not None and any(address in network for network in self._networks)


NOBODY: Final = Networks()
"""Trusts no address."""


def address_of(host: bytes) -> IPv4Address | IPv6Address | None:
    """The address that ``host`` writes, an IPv4 address mapped into IPv6 as the IPv4 address that it is; None for anything else."""
    try:
        address = ip_address(host.decode("ascii"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def client_of(peer_host: bytes, head: RequestHead, trusted: Networks) -> bytes:
    """The client's address: the right-most one that is not ``trusted``, of X-Forwarded-For with the peer behind it.

    Each trusted proxy vouches for the entry left of its own. Where a chain holds trusted addresses only, the left-most is the client;
    what is not an address (``unknown``) ends it. Without X-Forwarded-For the ``for`` of Forwarded counts (RFC 7239).
    """
    client = peer_host
    for hop in islice(_hops(head), MAX_HOPS):
        if client not in trusted:
            break
        host = _host_of(hop)
        if address_of(host) is None:
            break
        client = host
    return client


def _hops(head: RequestHead) -> Iterable[bytes]:
    """The addresses that the proxies named, the nearest first."""
    index = head.index
    if b"x-forwarded-for" in index:
        for line in reversed(head.get_all(b"x-forwarded-for")):
            for entry in reversed(line.split(b",")):
                yield entry.strip(b" \t")
    elif b"forwarded" in index:
        for line in reversed(head.get_all(b"forwarded")):
            for element in reversed(_elements(line)):
                found = [match for match in map(_FOR.fullmatch, map(bytes.strip, element.split(b";"))) if match is not None]
                yield (found[0][1] or found[0][2] or b"") if len(found) == 1 else b""


def _elements(line: bytes) -> list[bytes]:
    """The elements of a Forwarded field. A comma in a quoted string makes the whole line unreadable, which ends the chain."""
    # up to a quotation that does not end: looking for the end of every one behind it would cost the square of the line's length
    end = _WELL_QUOTED.match(line).end()  # type: ignore[union-attr]  # it matches nothing, too
    return [b""] if any(b"," in quoted or b";" in quoted for quoted in _QUOTED.findall(line, 0, end)) else line.split(b",")


def _host_of(entry: bytes) -> bytes:
    """``entry`` without a port and brackets."""
    match = _PORT.fullmatch(entry)
    return entry if match is None else match[1] or match[2]


def forwarded_element(peer_host: bytes, scheme: bytes, host: bytes) -> bytes:
    """What this proxy says in Forwarded (RFC 7239 section 4) of the connection that a request came by."""
    address = address_of(peer_host)
    if address is None:
        node = b"unknown"
    elif b":" in peer_host:
        node = b'"[%b]"' % peer_host.partition(b"%")[0]
    else:
        node = peer_host
    # a Host that passed the parser holds neither quotation marks nor backslashes
    return b'for=%b;host="%b";proto=%b' % (node, host, scheme) if host else b"for=%b;proto=%b" % (node, scheme)
