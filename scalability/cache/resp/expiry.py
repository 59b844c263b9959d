"""EXPIRE, TTL and their kin: how long a key lives. PURE."""

from math import inf
from typing import TYPE_CHECKING

from scalability.cache.resp.commands import CommandError, Family, Request, integer_of
from scalability.cache.resp.moments import EX, EXAT, PX, PXAT, Unit, any_moment, milliseconds_of
from scalability.resp import replies

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

FAMILY = Family("generic")

KEY = (1, 1, 1)
_NO_KEY = -2
_NO_END = -1


@FAMILY.command("expire", -3, "write fast", keys=KEY, summary="Sets the end of a key, in seconds from now: NX XX GT LT.")
def expire(session: "Session", request: Request) -> bytes:
    """1, or 0 without such a key or when an option forbade it. A moment that is over deletes the key."""
    return _expire(session, request, EX)


@FAMILY.command("pexpire", -3, "write fast", keys=KEY, summary="Sets the end of a key, in milliseconds from now: NX XX GT LT.")
def pexpire(session: "Session", request: Request) -> bytes:
    """As ``expire``."""
    return _expire(session, request, PX)


@FAMILY.command("expireat", -3, "write fast", keys=KEY, summary="Sets the end of a key, in unix seconds: NX XX GT LT.")
def expireat(session: "Session", request: Request) -> bytes:
    """As ``expire``."""
    return _expire(session, request, EXAT)


@FAMILY.command("pexpireat", -3, "write fast", keys=KEY, summary="Sets the end of a key, in unix milliseconds: NX XX GT LT.")
def pexpireat(session: "Session", request: Request) -> bytes:
    """As ``expire``."""
    return _expire(session, request, PXAT)


@FAMILY.command("ttl", 2, "readonly fast", keys=KEY, summary="Returns how long a key will live, in seconds.")
def ttl(session: "Session", request: Request) -> bytes:
    """Seconds, rounded; -1: without end; -2: no such key."""
    return replies.integer(_told(session, request[1], session.now, 1000))


@FAMILY.command("pttl", 2, "readonly fast", keys=KEY, summary="Returns how long a key will live, in milliseconds.")
def pttl(session: "Session", request: Request) -> bytes:
    """Milliseconds; -1 and -2 as ``ttl``."""
    return replies.integer(_told(session, request[1], session.now, 1))


@FAMILY.command("expiretime", 2, "readonly fast", keys=KEY, summary="Returns when a key ends, in unix seconds.")
def expiretime(session: "Session", request: Request) -> bytes:
    """Unix seconds, rounded; -1 and -2 as ``ttl``."""
    return replies.integer(_told(session, request[1], 0, 1000))


@FAMILY.command("pexpiretime", 2, "readonly fast", keys=KEY, summary="Returns when a key ends, in unix milliseconds.")
def pexpiretime(session: "Session", request: Request) -> bytes:
    """Unix milliseconds; -1 and -2 as ``ttl``."""
    return replies.integer(_told(session, request[1], 0, 1))


@FAMILY.command("persist", 2, "write fast", keys=KEY, summary="Lets a key live without end.")
def persist(session: "Session", request: Request) -> bytes:
    """1, or 0 without such a key or when it had no end."""
    key, now = request[1], session.now
    if session.entries.cache.expires_at(key, now) in (None, inf):
        return replies.ZERO
    session.entries.expire(key, now, inf, session)
    return replies.ONE


def _expire(session: "Session", request: Request, unit: Unit) -> bytes:
    key, now, entries = request[1], session.now, session.entries
    options = _options(request[3:])
    expires_at = any_moment(integer_of(request[2]), unit, now, request[0])
    held = entries.cache.expires_at(key, now)
    if held is None or (options and not _allowed(options, held, expires_at)):
        return replies.ZERO
    if expires_at <= now:
        entries.delete(key, now, session)
    else:
        entries.expire(key, now, expires_at, session)
    return replies.ONE


def _options(words: Request) -> set[bytes]:
    options: set[bytes] = set()
    for word in words:
        if word.upper() not in (b"NX", b"XX", b"GT", b"LT"):
            raise CommandError(b"ERR Unsupported option %b" % word)
        options.add(word.upper())
    if b"NX" in options and len(options) > 1:
        raise CommandError("ERR NX and XX, GT or LT options at the same time are not compatible")
    if {b"GT", b"LT"} <= options:
        raise CommandError("ERR GT and LT options at the same time are not compatible")
    return options


def _allowed(options: set[bytes], held: float, expires_at: float) -> bool:
    """A key without end (``inf``) has none for NX and XX, and ends after every other for GT and LT."""
    if b"NX" in options and held != inf:
        return False
    if b"XX" in options and held == inf:
        return False
    # to the millisecond, as clients count
    if b"GT" in options and (held == inf or milliseconds_of(expires_at) <= milliseconds_of(held)):
        return False
    return b"LT" not in options or held == inf or milliseconds_of(expires_at) < milliseconds_of(held)


def _told(session: "Session", key: bytes, since: float, step_ms: int) -> int:
    expires_at = session.entries.cache.expires_at(key, session.now)
    if expires_at is None:
        return _NO_KEY
    if expires_at == inf:
        return _NO_END
    return (milliseconds_of(expires_at - since) + step_ms // 2) // step_ms
