"""What a server answers, as bytes. PURE.

Types and their spelling are those of the RESP3 specification (https://github.com/redis/redis-specifications, protocol/RESP3.md);
what RESP2 lacks is told in its own: a map as an array of keys and values, a set or a push as an array, null as a bulk string or
array of length -1.
"""

from collections.abc import Iterable, Sequence

OK = b"+OK\r\n"
ZERO = b":0\r\n"
ONE = b":1\r\n"
QUEUED = b"+QUEUED\r\n"
EMPTY_ARRAY = b"*0\r\n"
NULL = b"_\r\n"
"""RESP3's only null."""
NULL_BULK = b"$-1\r\n"
"""RESP2's null where a string is missing."""
NULL_ARRAY = b"*-1\r\n"
"""RESP2's null where an array is missing."""


def simple(text: bytes) -> bytes:
    """A status: one line."""
    return b"+%b\r\n" % text


def error(text: bytes) -> bytes:
    """A failure: a code in capitals, a space, and a sentence. Line ends in it, of a client's making, become spaces."""
    return b"-%b\r\n" % text.replace(b"\r", b" ").replace(b"\n", b" ")


def integer(number: int) -> bytes:
    """A whole number of 64 bits."""
    return b":%d\r\n" % number


def bulk(data: bytes) -> bytes:
    """Any bytes."""
    return b"$%d\r\n%b\r\n" % (len(data), data)


def array(items: Sequence[bytes]) -> bytes:
    """``items``, each encoded already."""
    return b"*%d\r\n%b" % (len(items), b"".join(items))


def bulks(items: Sequence[bytes]) -> bytes:
    """An array of any bytes."""
    return array([bulk(item) for item in items])


def bulks_or_null(items: Sequence[bytes | None], null: bytes) -> bytes:
    """An array of any bytes, with ``null`` where there are none: of thousands, in two thirds of what ``array`` takes."""
    parts = [b"*%d\r\n" % len(items)]
    for item in items:
        if item is None:
            parts.append(null)
        else:
            parts += (b"$%d\r\n" % len(item), item, b"\r\n")
    return b"".join(parts)


def mapping(pairs: Iterable[tuple[bytes, bytes]], *, resp3: bool) -> bytes:
    """Keys and values, each encoded already."""
    flat = [part for pair in pairs for part in pair]
    return b"%%%d\r\n%b" % (len(flat) // 2, b"".join(flat)) if resp3 else array(flat)


def a_set(items: Sequence[bytes], *, resp3: bool) -> bytes:
    """Items in no order, each encoded already."""
    return b"~%d\r\n%b" % (len(items), b"".join(items)) if resp3 else array(items)


def push(items: Sequence[bytes]) -> bytes:
    """What no request asked for; RESP3 only. ``items`` are encoded already."""
    return b">%d\r\n%b" % (len(items), b"".join(items))


def verbatim(text: bytes, *, resp3: bool) -> bytes:
    """Text for people, such as INFO's."""
    return b"=%d\r\ntxt:%b\r\n" % (len(text) + 4, text) if resp3 else bulk(text)
