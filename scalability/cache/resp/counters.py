"""INCR and its kin: values that are numbers. PURE."""

from math import inf
from typing import TYPE_CHECKING

from scalability.cache.resp.commands import CommandError, Family, Request, integer_of
from scalability.cache.resp.long_double import LongDouble
from scalability.cache.resp.values import store
from scalability.resp import replies

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

FAMILY = Family("string")

KEY = (1, 1, 1)
FLAGS = "write denyoom fast"
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1


@FAMILY.command("incr", 2, FLAGS, keys=KEY, summary="Adds one to the number of a key, which begins at 0.")
def incr(session: "Session", request: Request) -> bytes:
    """The number now."""
    return _add(session, request[1], 1)


@FAMILY.command("decr", 2, FLAGS, keys=KEY, summary="Takes one from the number of a key, which begins at 0.")
def decr(session: "Session", request: Request) -> bytes:
    """The number now."""
    return _add(session, request[1], -1)


@FAMILY.command("incrby", 3, FLAGS, keys=KEY, summary="Adds to the number of a key, which begins at 0.")
def incrby(session: "Session", request: Request) -> bytes:
    """The number now."""
    return _add(session, request[1], integer_of(request[2]))


@FAMILY.command("decrby", 3, FLAGS, keys=KEY, summary="Takes from the number of a key, which begins at 0.")
def decrby(session: "Session", request: Request) -> bytes:
    """The number now."""
    step = integer_of(request[2])
    if step == _LEAST:
        raise CommandError("ERR decrement would overflow")
    return _add(session, request[1], -step)


@FAMILY.command("incrbyfloat", 3, FLAGS, keys=KEY, summary="Adds to the floating-point number of a key, which begins at 0.")
def incrbyfloat(session: "Session", request: Request) -> bytes:
    """The number now, with up to 17 digits behind the point."""
    key = request[1]
    held = session.entries.get(key, session.now)
    total = LongDouble.read(b"0" if held is None else held)
    step = LongDouble.read(request[2])
    if total is None or step is None:
        raise CommandError("ERR value is not a valid float")
    text = total.plus(step)
    if text is None:
        raise CommandError("ERR increment would produce NaN or Infinity")
    store(session, key, text, _ends_at(session, key))
    return replies.bulk(text)


def _add(session: "Session", key: bytes, step: int) -> bytes:
    held = session.entries.get(key, session.now)
    total = step + (0 if held is None else integer_of(held))
    if not _LEAST <= total <= _MOST:
        raise CommandError("ERR increment or decrement would overflow")
    store(session, key, b"%d" % total, inf if held is None else _ends_at(session, key))
    return replies.integer(total)


def _ends_at(session: "Session", key: bytes) -> float:
    """A number keeps its expiry."""
    cache = session.entries.cache
    expires_at = cache.expires_at(key, session.now) if cache.ending else inf
    return inf if expires_at is None else expires_at
