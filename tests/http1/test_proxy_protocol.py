"""PROXY protocol headers, cut anywhere."""

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.errors import BadMessage
from scalability.http1.proxy_protocol import MAX_BYTES, SIGNATURE, ProxyHeader, own_proxy_header, parse_proxy_header, proxy_header
from scalability.http1.trust import address_of

FOUR = (("192.0.2.7", 4711), ("198.51.100.1", 443))
SIX = (("2001:db8::7", 65535), ("2001:db8::1", 1))
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"


def v2(command: int, family: int, rest: bytes = b"", length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest) if length is None else length) + rest


ADDRESSES = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack("!HH", 4711, 443)
HEADERS = [
    (V1, FOUR),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 65535 1\r\n", SIX),
    (b"PROXY TCP6 " + b"ffff:" * 7 + b"ffff " + b"ffff:" * 7 + b"ffff 65535 65535\r\n", None),
    (b"PROXY UNKNOWN\r\n", (None, None)),
    (b"PROXY UNKNOWN ffff::1 anything 1 2\r\n", (None, None)),
    (v2(0x21, 0x11, ADDRESSES), FOUR),
    (v2(0x21, 0x11, ADDRESSES + b"\x01\x00\x02h2"), FOUR),
    (proxy_header(2, *SIX), SIX),
    (v2(0x20, 0x00), (None, None)),
    (v2(0x20, 0x11, ADDRESSES), (None, None)),
    (v2(0x20, 0x11, b"abc"), (None, None)),
    (v2(0x21, 0x00, b"anything"), (None, None)),
    (v2(0x21, 0x12, ADDRESSES), (None, None)),
    (v2(0x21, 0x31, bytes(216)), (None, None)),
    (v2(0x21, 0x11, ADDRESSES + bytes(MAX_BYTES - 16 - len(ADDRESSES))), FOUR),
]


@pytest.mark.parametrize(("header", "ends"), HEADERS)
def test_rule_46_a_header_is_read_however_it_is_cut(header: bytes, ends: object) -> None:
    for end in range(len(header)):
        assert parse_proxy_header(header[:end]) is None
    for rest in (b"", b"GET / HTTP/1.1\r\n", header):
        found = parse_proxy_header(header + rest)
        assert found is not None
        assert found.size == len(header)
        if ends is not None:
            assert found[1:] == ends


@pytest.mark.parametrize(
    "bad",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PROXY\r\n",
        b"proxy TCP4",
        b"PROXY TCP5 192.0.2.7 198.51.100.1 4711 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 1\r\n",
        b"PROXY TCP4  192.0.2.7 198.51.100.1 4711 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 \r\n",
        b"PROXY TCP4 192.0.2.07 198.51.100.1 4711 443\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 1 1\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.1 4711 443\r\n",
        b"PROXY TCP6 fe80::1%eth0 fe80::2 1 1\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 080 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1  443\r\n",
        b"PROXY TCP4 \xff 198.51.100.1 1 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\n",
        b"PROXY UNKNOWN " + b"x" * 100,
        v2(0x22, 0x11, ADDRESSES),
        v2(0x11, 0x11, ADDRESSES),
        v2(0x21, 0x13, ADDRESSES),
        v2(0x21, 0x41, ADDRESSES),
        v2(0x21, 0x11, ADDRESSES[:-1]),
        v2(0x21, 0x21, ADDRESSES),
        v2(0x21, 0x11, ADDRESSES, MAX_BYTES),
        v2(0x21, 0x11, b"", 65535),
    ],
)
def test_rule_46_anything_else_is_refused(bad: bytes) -> None:
    with pytest.raises(BadMessage):
        parse_proxy_header(bad)


def test_a_header_without_an_end_is_refused_before_it_grows() -> None:
    assert parse_proxy_header(b"PROXY UNKNOWN " + b"x" * 92) is None
    with pytest.raises(BadMessage):
        parse_proxy_header(b"PROXY UNKNOWN " + b"x" * 93)


@given(
    st.sampled_from([1, 2]),
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str),
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str),
    st.integers(0, 65535),
)
def test_what_is_written_is_read_back(version: int, source: str, destination: str, port: int) -> None:
    header = proxy_header(version, (source, port), (destination, 443))
    found = parse_proxy_header(header)
    assert found is not None
    assert found.source is not None
    assert found.size == len(header)
    mixed = (":" in source) != (":" in destination)
    assert found.source[1] == port
    assert mixed or found == ProxyHeader(len(header), (source, port), (destination, 443))


@pytest.mark.parametrize("version", [1, 2])
def test_what_is_no_address_and_the_proxy_s_own_connections_say_so(version: int) -> None:
    for header in (proxy_header(version, ("unknown", 0), ("::1", 80)), own_proxy_header(version)):
        assert parse_proxy_header(header) == ProxyHeader(len(header))


def test_the_headers_are_exactly_these() -> None:
    assert proxy_header(1, *FOUR) == V1
    assert proxy_header(2, *FOUR) == v2(0x21, 0x11, ADDRESSES)
    assert proxy_header(1, ("fe80::1%eth0", 1), ("::1", 2)) == b"PROXY TCP6 fe80::1 ::1 1 2\r\n"
    mixed = parse_proxy_header(proxy_header(2, FOUR[0], SIX[1]))
    assert mixed is not None
    assert mixed.source is not None
    assert address_of(mixed.source[0].encode()) == ip_address("192.0.2.7")
    assert own_proxy_header(2) == v2(0x20, 0, b"")
