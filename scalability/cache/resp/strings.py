"""GET, SET and their kin: whole values, several of them, and parts of one. PURE."""

from math import inf
from operator import add
from typing import TYPE_CHECKING

from scalability.cache.resp.commands import CommandError, Family, Request, integer_of
from scalability.cache.resp.moments import EX, PX, UNITS, Unit, options_of_getex, options_of_set, positive_moment
from scalability.cache.resp.values import MAX_REPLY_BYTES, TOO_LARGE, check_size, store
from scalability.resp import replies
from scalability.ttlcache.many import count_present, get_many

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

FAMILY = Family("string")

KEY = (1, 1, 1)
KEYS = (1, -1, 1)
PAIRS = (1, -1, 2)


@FAMILY.command("get", 2, "readonly fast", keys=KEY, summary="Returns the value of a key.")
def get(session: "Session", request: Request) -> bytes:
    """The value, or null."""
    return _or_null(session, session.entries.get(request[1], session.now))


@FAMILY.command("set", -3, "write denyoom", keys=KEY, summary="Sets the value of a key: EX PX EXAT PXAT KEEPTTL NX XX GET.")
def set_(session: "Session", request: Request) -> bytes:
    """OK; null when NX or XX forbade it; with GET, whatever the key held before."""
    key = request[1]
    if len(request) == 3:
        store(session, key, request[2], inf)
        return replies.OK
    if len(request) == 5 and (unit := UNITS.get(request[3].upper())) is not None and unit.relative:
        # what a cache is told most: half as long as by way of all the options
        store(session, key, request[2], positive_moment(request[4], unit, session.now, request[0]))
        return replies.OK
    options = options_of_set(request)
    entries, now = session.entries, session.now
    expires_at = options.ends_at(now, request[0])
    answer = _or_null(session, entries.get(key, now)) if options.get else replies.OK
    if options.absent or options.present or options.keep:
        held = entries.cache.expires_at(key, now)
        if options.absent if held is not None else options.present:
            return answer if options.get else session.null
        if options.keep and held is not None:
            expires_at = held
    if expires_at <= now:
        entries.delete(key, now, session)
    else:
        store(session, key, request[2], expires_at)
    return answer


@FAMILY.command("setnx", 3, "write denyoom fast", keys=KEY, summary="Sets the value of a key that does not exist.")
def setnx(session: "Session", request: Request) -> bytes:
    """1, or 0 when the key is there."""
    if session.entries.cache.expires_at(request[1], session.now) is not None:
        return replies.ZERO
    store(session, request[1], request[2], inf)
    return replies.ONE


@FAMILY.command("setex", 4, "write denyoom", keys=KEY, summary="Sets the value of a key and its end, in seconds from now.")
def setex(session: "Session", request: Request) -> bytes:
    """OK."""
    return _set_until(session, request, EX)


@FAMILY.command("psetex", 4, "write denyoom", keys=KEY, summary="Sets the value of a key and its end, in milliseconds from now.")
def psetex(session: "Session", request: Request) -> bytes:
    """OK."""
    return _set_until(session, request, PX)


@FAMILY.command("getset", 3, "write denyoom fast", keys=KEY, summary="Sets the value of a key and returns the one before.")
def getset(session: "Session", request: Request) -> bytes:
    """What the key held, or null. Its expiry is gone."""
    before = _or_null(session, session.entries.get(request[1], session.now))
    store(session, request[1], request[2], inf)
    return before


@FAMILY.command("getdel", 2, "write fast", keys=KEY, summary="Returns the value of a key and deletes it.")
def getdel(session: "Session", request: Request) -> bytes:
    """What the key held, or null."""
    before = session.entries.get(request[1], session.now)
    session.entries.delete(request[1], session.now, session)
    return _or_null(session, before)


@FAMILY.command("getex", -2, "write fast", keys=KEY, summary="Returns the value of a key and sets its end: EX PX EXAT PXAT PERSIST.")
def getex(session: "Session", request: Request) -> bytes:
    """The value, or null. Without options nothing changes."""
    options = options_of_getex(request)
    key, now, entries = request[1], session.now, session.entries
    value = entries.get(key, now)
    if value is None:
        return session.null
    expires_at = options.ends_at(now, request[0])
    if options.unit is not None and expires_at <= now:
        entries.delete(key, now, session)
    elif options.unit is not None or (options.persist and entries.cache.expires_at(key, now) != inf):
        entries.expire(key, now, expires_at, session)
    return replies.bulk(value)


@FAMILY.command("mget", -2, "readonly fast", keys=KEYS, summary="Returns the values of keys.")
def mget(session: "Session", request: Request) -> bytes:
    """A value or null for each key."""
    values = get_many(session.entries.cache, request[1:], session.now)
    if sum([len(value) for value in values if value is not None]) > MAX_REPLY_BYTES:
        raise CommandError(f"ERR the values are more than {MAX_REPLY_BYTES} bytes together, ask for fewer at once")
    return replies.bulks_or_null(values, session.null)


@FAMILY.command("mset", -3, "write denyoom", keys=PAIRS, summary="Sets the values of keys.")
def mset(session: "Session", request: Request) -> bytes:
    """OK. Either all values fit or nothing is set."""
    _set_pairs(session, request)
    return replies.OK


@FAMILY.command("msetnx", -3, "write denyoom", keys=PAIRS, summary="Sets the values of keys when none of them exists.")
def msetnx(session: "Session", request: Request) -> bytes:
    """1, or 0 when one of the keys is there: nothing is set then."""
    _check_pairs(request)
    if count_present(session.entries.cache, request[1::2], session.now):
        return replies.ZERO
    _set_pairs(session, request)
    return replies.ONE


@FAMILY.command(
    "append", 3, "write denyoom fast", keys=KEY, summary="Appends to the value of a key, and creates it when it does not exist."
)
def append(session: "Session", request: Request) -> bytes:
    """The length of the value now. Its expiry stays."""
    key, tail, now = request[1], request[2], session.now
    value = session.entries.get(key, now) or b""
    check_size(session, key, len(value) + len(tail))
    _change(session, key, value + tail)
    return replies.integer(len(value) + len(tail))


@FAMILY.command("strlen", 2, "readonly fast", keys=KEY, summary="Returns the length of a value.")
def strlen(session: "Session", request: Request) -> bytes:
    """Bytes; 0 without a key."""
    return replies.integer(len(session.entries.get(request[1], session.now) or b""))


@FAMILY.command("getrange", 4, "readonly", keys=KEY, summary="Returns a part of a value.")
def getrange(session: "Session", request: Request) -> bytes:
    """The bytes from the first to the last place, both included; negative places count from the end."""
    first, last = integer_of(request[2]), integer_of(request[3])
    value = session.entries.get(request[1], session.now) or b""
    if first < 0 and last < 0 and first > last:
        return replies.bulk(b"")
    first = first if first >= 0 else max(len(value) + first, 0)
    last = last if last >= 0 else max(len(value) + last, 0)
    return replies.bulk(value[first : last + 1])


@FAMILY.command("substr", 4, "readonly", keys=KEY, summary="Returns a part of a value: the old name of GETRANGE.")
def substr(session: "Session", request: Request) -> bytes:
    """As ``getrange``."""
    return getrange(session, request)


@FAMILY.command("setrange", 4, "write denyoom", keys=KEY, summary="Overwrites a part of a value, and creates it when it does not exist.")
def setrange(session: "Session", request: Request) -> bytes:
    """The length of the value now. Before a place beyond the end stand zero bytes; writing nothing changes nothing."""
    key, part = request[1], request[3]
    place = integer_of(request[2])
    if place < 0:
        raise CommandError("ERR offset is out of range")
    value = session.entries.get(key, session.now) or b""
    if not part:
        return replies.integer(len(value))
    check_size(session, key, max(len(value), place + len(part)))  # before room is made for it
    changed = value[:place].ljust(place, b"\0") + part + value[place + len(part) :]
    _change(session, key, changed)
    return replies.integer(len(changed))


def _or_null(session: "Session", value: bytes | None) -> bytes:
    return session.null if value is None else replies.bulk(value)


def _set_until(session: "Session", request: Request, unit: Unit) -> bytes:
    store(session, request[1], request[3], positive_moment(request[2], unit, session.now, request[0]))
    return replies.OK


def _change(session: "Session", key: bytes, value: bytes) -> None:
    """Another value; the expiry stays."""
    expires_at = session.entries.cache.expires_at(key, session.now)
    store(session, key, value, inf if expires_at is None else expires_at)


def _check_pairs(request: Request) -> None:
    if len(request) % 2 == 0:
        raise CommandError(b"ERR wrong number of arguments for '%b' command" % request[0].lower())


def _set_pairs(session: "Session", request: Request) -> None:
    _check_pairs(request)
    keys, values = request[1::2], request[2::2]
    if max(map(add, map(len, keys), map(len, values))) > session.entries.cache.max_object_bytes:
        raise CommandError(TOO_LARGE)
    if not session.entries.put_many(keys, values, session.now, session):
        raise CommandError(TOO_LARGE)
