"""SCAN, KEYS and RANDOMKEY: keys that nobody named. PURE.

Redis answers KEYS however long it takes, and serves nobody meanwhile. Here one command looks at a bounded number of keys, a few
milliseconds' worth: SCAN goes on at the cursor, KEYS is refused where there are more.
"""

from typing import TYPE_CHECKING

from scalability.cache.resp.commands import SYNTAX, CommandError, Family, Request, integer_of
from scalability.cache.resp.globs import Glob, glob_of
from scalability.resp import replies

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

FAMILY = Family("generic")

MAX_KEYS = 5_000
"""KEYS is refused where there are more. So many are looked at and told in three milliseconds."""

MAX_COUNT = 1_000
"""COUNT is a hint: SCAN looks at about as many keys at most, whatever it asks for."""

BATCH = 100
"""Keys looked at between two looks at the work done."""

MAX_STEPS = 1_000_000
"""Steps of matching that one command takes, bytes of keys times what a byte may cost: long keys and patterns of many parts. A step takes
3 to 15 ns."""

RANDOM_TRIES = 100
"""Draws of RANDOMKEY that may hit entries which have expired and are not removed yet."""


@FAMILY.command("scan", -2, "readonly costly", summary="Goes through the keys by a cursor: MATCH, COUNT, TYPE.")
def scan(session: "Session", request: Request) -> bytes:
    """The next cursor (0: that was all) and some keys. Whatever is there from the first call to the last is told at least once."""
    cursor = _cursor(request[1])
    pattern: bytes | None = None
    count = 10
    wanted = True
    words = iter(request[2:])
    for word in words:
        argument = next(words, None)
        if argument is None:
            raise CommandError(SYNTAX)
        word = word.upper()
        if word == b"COUNT":
            count = integer_of(argument)
            if count < 1:
                raise CommandError(SYNTAX)
        elif word == b"MATCH":
            pattern = argument
        elif word == b"TYPE":
            wanted = argument.lower() == b"string"
        else:
            raise CommandError(SYNTAX)
    glob = None if pattern is None else _glob(pattern)
    if not wanted:
        return _scanned(0, [])  # there are strings only
    found, cursor = _scan(session, cursor, min(count, MAX_COUNT), glob)
    return _scanned(cursor, found)


@FAMILY.command("keys", 2, "readonly costly", summary="Returns the keys that match a pattern, unless there are very many keys.")
def keys(session: "Session", request: Request) -> bytes:
    """All of them, in no order. More than ``MAX_KEYS`` entries are not looked at: SCAN is for that."""
    glob = _glob(request[1])
    cache, now = session.entries.cache, session.now
    if glob.literal is not None:
        return replies.bulks([glob.literal] if cache.peek(glob.literal, now) is not None else [])
    if len(cache) > MAX_KEYS:
        raise CommandError(f"ERR KEYS looks at no more than {MAX_KEYS} keys and there are {len(cache)}, use SCAN")
    found: list[bytes] = []
    cursor = steps = 0
    while True:
        cursor, batch = cache.scan(cursor, BATCH)
        steps += sum(map(len, batch)) * glob.steps
        if steps > MAX_STEPS:
            raise CommandError("ERR KEYS would take too long for such long keys and this pattern, use SCAN")
        found += glob.among(batch)
        if not cursor:
            break
    return replies.bulks([key for key in found if cache.peek(key, now) is not None])


@FAMILY.command("randomkey", 1, "readonly", summary="Returns a key by chance.")
def randomkey(session: "Session", request: Request) -> bytes:
    """Any of them; null when there is none, or hardly one among those that have expired."""
    cache, now = session.entries.cache, session.now
    for _ in range(RANDOM_TRIES):
        key = cache.random_key(session.server.draw)
        if key is None:
            break
        if cache.peek(key, now) is not None:
            return replies.bulk(key)
    return session.null


def _scan(session: "Session", cursor: int, count: int, glob: Glob | None) -> tuple[list[bytes], int]:
    """Keys among the next ``count`` or so, and where to go on."""
    cache, now = session.entries.cache, session.now
    found: list[bytes] = []
    seen = steps = 0
    while True:
        cursor, batch = cache.scan(cursor, min(BATCH, count - seen))
        found += batch if glob is None else glob.among(batch)
        seen += max(len(batch), 1)
        steps += sum(map(len, batch)) * (1 if glob is None else glob.steps)
        if not cursor or seen >= count or steps > MAX_STEPS:
            return [key for key in found if cache.peek(key, now) is not None], cursor


def _scanned(cursor: int, found: list[bytes]) -> bytes:
    return replies.array([replies.bulk(b"%d" % cursor), replies.bulks(found)])


def _cursor(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20 or (cursor := int(text)) >= 1 << 64:
        raise CommandError("ERR invalid cursor")
    return cursor


def _glob(pattern: bytes) -> Glob:
    try:
        return glob_of(pattern)
    except ValueError as error:
        raise CommandError(f"ERR {error}") from error
