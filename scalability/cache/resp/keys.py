"""DEL, RENAME, FLUSHALL and their kin: keys, whatever they hold. PURE."""

from typing import TYPE_CHECKING

from scalability.cache.resp.commands import NOT_AN_INTEGER, SYNTAX, CommandError, Family, Request, integer_of
from scalability.cache.resp.values import check_size, store
from scalability.resp import replies
from scalability.ttlcache.many import count_present, get_many

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

FAMILY = Family("generic")
SERVER_FAMILY = Family("server")

KEY = (1, 1, 1)
KEYS = (1, -1, 1)
TWO = (1, 2, 1)

NO_KEY = "ERR no such key"
_INT = 1 << 31


@FAMILY.command("del", -2, "write", keys=KEYS, summary="Deletes keys.")
def del_(session: "Session", request: Request) -> bytes:
    """How many there were."""
    return replies.integer(session.entries.delete_many(request[1:], session.now, session))


@FAMILY.command("unlink", -2, "write fast", keys=KEYS, summary="Deletes keys: the same as DEL here.")
def unlink(session: "Session", request: Request) -> bytes:
    """How many there were."""
    return del_(session, request)


@FAMILY.command("exists", -2, "readonly fast", keys=KEYS, summary="Returns how many of the keys exist.")
def exists(session: "Session", request: Request) -> bytes:
    """How many, those named twice counted twice. To the cache they have not been read."""
    return replies.integer(count_present(session.entries.cache, request[1:], session.now))


@FAMILY.command("touch", -2, "readonly fast", keys=KEYS, summary="Reads keys, so that they are evicted later.")
def touch(session: "Session", request: Request) -> bytes:
    """How many of them exist."""
    values = get_many(session.entries.cache, request[1:], session.now)
    return replies.integer(len(values) - values.count(None))


@FAMILY.command("type", 2, "readonly fast", keys=KEY, summary="Returns the type of a key's value.")
def type_(session: "Session", request: Request) -> bytes:
    """``string``, or ``none`` without such a key."""
    return replies.simple(b"none" if session.entries.cache.peek(request[1], session.now) is None else b"string")


@FAMILY.command("rename", 3, "write", keys=TWO, summary="Renames a key; what the new name held is gone.")
def rename(session: "Session", request: Request) -> bytes:
    """OK. Value and expiry move."""
    _rename(session, request[1], request[2], replace=True)
    return replies.OK


@FAMILY.command("renamenx", 3, "write fast", keys=TWO, summary="Renames a key when the new name is free.")
def renamenx(session: "Session", request: Request) -> bytes:
    """1, or 0 when it is not."""
    return replies.ONE if _rename(session, request[1], request[2], replace=False) else replies.ZERO


@FAMILY.command("copy", -3, "write denyoom", keys=TWO, summary="Copies a key's value and expiry: DB 0, REPLACE.")
def copy(session: "Session", request: Request) -> bytes:
    """1, or 0 when there is nothing to copy or, without REPLACE, something in its place."""
    source, target = request[1], request[2]
    replace = False
    words = iter(request[3:])
    for word in words:
        word = word.upper()
        if word == b"REPLACE":
            replace = True
        elif word == b"DB" and (database := next(words, None)) is not None:
            _check_database(database)
        else:
            raise CommandError(SYNTAX)
    if source == target:
        raise CommandError("ERR source and destination objects are the same")
    cache, now = session.entries.cache, session.now
    value, expires_at = cache.peek(source, now), cache.expires_at(source, now)
    if value is None or expires_at is None or (not replace and cache.peek(target, now) is not None):
        return replies.ZERO
    store(session, target, value, expires_at)
    return replies.ONE


@SERVER_FAMILY.command("dbsize", 1, "readonly fast", summary="Returns the number of keys.")
def dbsize(session: "Session", request: Request) -> bytes:
    """Those included that have expired and are not removed yet."""
    return replies.integer(len(session.entries.cache))


@SERVER_FAMILY.command("flushdb", -1, "write", summary="Deletes all keys: ASYNC and SYNC are the same here.")
def flushdb(session: "Session", request: Request) -> bytes:
    """OK."""
    if len(request) > 2 or (len(request) == 2 and request[1].upper() not in (b"ASYNC", b"SYNC")):
        raise CommandError(SYNTAX)
    session.entries.clear(session)
    return replies.OK


@SERVER_FAMILY.command("flushall", -1, "write", summary="Deletes all keys: the same as FLUSHDB, as there is one database.")
def flushall(session: "Session", request: Request) -> bytes:
    """OK."""
    return flushdb(session, request)


def _rename(session: "Session", old: bytes, new: bytes, *, replace: bool) -> bool:
    entries, now = session.entries, session.now
    value, expires_at = entries.cache.peek(old, now), entries.cache.expires_at(old, now)
    if value is None or expires_at is None:
        raise CommandError(NO_KEY)
    if old == new:
        return replace
    if not replace and entries.cache.peek(new, now) is not None:
        return False
    check_size(session, new, len(value))
    # First out, then in: a full cache makes room for one of them only.
    entries.delete(old, now, session)
    store(session, new, value, expires_at)
    return True


def _check_database(text: bytes) -> None:
    number = integer_of(text, NOT_AN_INTEGER)
    if not -_INT <= number < _INT:
        raise CommandError(f"ERR value is out of range, value must between {-_INT} and {_INT - 1}")
    if number != 0:
        raise CommandError("ERR DB index is out of range")
