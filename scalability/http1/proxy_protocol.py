"""The PROXY protocol, versions 1 and 2 (HAProxy's specification of 2020/03/05): who a connection comes from, told before its first byte.

``parse_proxy_header`` is given what has come so far, cut anywhere. A header is bounded: 107 bytes in version 1, ``MAX_BYTES`` in
version 2, whose further values (TLVs) are passed over. LOCAL and UNKNOWN mean that the proxy speaks for itself; other families than
TCP over IP say nothing that an HTTP server could use. In all these cases the connection keeps its own addresses.
"""

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from scalability.errors import BadMessage

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
MAX_BYTES: Final = 4096
"""Of a version 2 header. Addresses take 52; the rest are TLVs, of which a certificate's may be long."""

_V1: Final = b"PROXY "
_V1_MAX_BYTES: Final = 107
_HEAD_BYTES: Final = 16
_LOCAL: Final = 0x20
_PROXY: Final = 0x21
_FAMILIES: Final = frozenset([0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32])


class ProxyHeader(NamedTuple):
    """A header that is complete: ``size`` bytes. Without ``source`` the connection's own addresses hold."""

    size: int
    source: tuple[str, int] | None = None
    """The client's address and port."""
    destination: tuple[str, int] | None = None
    """The address and port that the client connected to."""


def parse_proxy_header(data: bytes) -> ProxyHeader | None:
    """The header that ``data`` begins with, None when it is not complete yet. Raises BadMessage when there is none, or a wrong one."""
    if data.startswith(_V1):
        return _parse_v1(data)
    if data.startswith(SIGNATURE):
        return _parse_v2(data)
    if _V1.startswith(data) or SIGNATURE.startswith(data):
        return None
    raise BadMessage("This connection must begin with a PROXY protocol header.")


def _parse_v1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, _V1_MAX_BYTES)
    if end < 0:
        if len(data) >= _V1_MAX_BYTES or b"\n" in data:
            raise BadMessage("The PROXY protocol header has no proper end.")
        return None
    words = data[:end].split(b" ")
    family = words[1]
    if family == b"UNKNOWN":
        return ProxyHeader(end + 2)  # whatever follows it is to be ignored
    if family not in (b"TCP4", b"TCP6") or len(words) != 6:
        raise BadMessage("The PROXY protocol header is malformed.")
    kind = IPv4Address if family == b"TCP4" else IPv6Address
    return ProxyHeader(end + 2, (_address(words[2], kind), _port(words[4])), (_address(words[3], kind), _port(words[5])))


def _address(word: bytes, kind: type[IPv4Address | IPv6Address]) -> str:
    try:
        address = kind(word.decode("ascii"))
    except ValueError as error:
        raise BadMessage("The PROXY protocol header holds a bad address.") from error
    if b"%" in word:
        raise BadMessage("The PROXY protocol header holds a bad address.")
    return str(address)


def _port(word: bytes) -> int:
    if not word.isdigit() or len(word) > 5 or (word[:1] == b"0" and len(word) > 1) or int(word) > 65535:
        raise BadMessage("The PROXY protocol header holds a bad port.")
    return int(word)


def _parse_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < _HEAD_BYTES:
        return None
    command, family, length = struct.unpack_from("!BBH", data, len(SIGNATURE))
    if command not in (_LOCAL, _PROXY) or family not in _FAMILIES:
        raise BadMessage("The PROXY protocol header has an unknown version, command or family.")
    size = _HEAD_BYTES + length
    if size > MAX_BYTES:
        raise BadMessage("The PROXY protocol header is too large.")
    wanted = {0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216}.get(family, 0) if command == _PROXY else 0
    if length < wanted:
        raise BadMessage("The PROXY protocol header is too short for its addresses.")
    if len(data) < size:
        return None
    if command == _PROXY and family in (0x11, 0x21):
        width = 4 if family == 0x11 else 16
        source, destination, source_port, destination_port = struct.unpack_from(f"!{width}s{width}sHH", data, _HEAD_BYTES)
        return ProxyHeader(size, (str(ip_address(source)), source_port), (str(ip_address(destination)), destination_port))
    return ProxyHeader(size)


def proxy_header(version: int, source: tuple[str, int], destination: tuple[str, int]) -> bytes:
    """The header of ``version`` 1 or 2 for a client at ``source`` that connected to ``destination``.

    Of two families both are written as IPv6; what is no address makes a header that says so (UNKNOWN, or no family).
    """
    try:
        ends = [ip_address(host.partition("%")[0]) for host in (source[0], destination[0])]
    except ValueError:
        return b"PROXY UNKNOWN\r\n" if version == 1 else SIGNATURE + struct.pack("!BBH", _PROXY, 0, 0)
    if ends[0].version != ends[1].version:
        ends = [IPv6Address(f"::ffff:{end}") if isinstance(end, IPv4Address) else end for end in ends]
    four = ends[0].version == 4
    if version == 1:
        return f"PROXY TCP{4 if four else 6} {ends[0]} {ends[1]} {source[1]} {destination[1]}\r\n".encode()
    packed = ends[0].packed + ends[1].packed + struct.pack("!HH", source[1], destination[1])
    return SIGNATURE + struct.pack("!BBH", _PROXY, 0x11 if four else 0x21, len(packed)) + packed


def own_proxy_header(version: int) -> bytes:
    """The header of a connection that the proxy makes for itself, such as a health check's: LOCAL, which version 1 calls UNKNOWN."""
    return b"PROXY UNKNOWN\r\n" if version == 1 else SIGNATURE + struct.pack("!BBH", _LOCAL, 0, 0)
