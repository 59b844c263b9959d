"""OBJECT and MEMORY: what the server knows of an entry beside its value. PURE."""

from typing import TYPE_CHECKING

from scalability.cache.resp.commands import SYNTAX, CommandError, Family, Request, integer_of
from scalability.resp import replies
from scalability.ttlcache.engine import OVERHEAD_BYTES

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

OBJECT_FAMILY = Family("generic")
MEMORY_FAMILY = Family("server")

EMBEDDED_BYTES = 44
"""The longest string that Redis calls ``embstr``."""

_NO_FREQUENCY = (
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at "
    "runtime LRU and LFU data will take some time to adjust."
)
_OBJECT_HELP = (
    b"OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"ENCODING <key>",
    b"    Return the kind of internal representation that Redis would use for the value.",
    b"REFCOUNT <key>",
    b"    Return 1.",
    b"HELP",
    b"    Print this help.",
)
_MEMORY_HELP = (
    b"MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"USAGE <key> [SAMPLES <count>]",
    b"    Return the bytes that the key, its value and their bookkeeping are counted as.",
    b"HELP",
    b"    Print this help.",
)


@OBJECT_FAMILY.command("object", -2, "readonly", keys=(2, 2, 1), summary="Tells of the value of a key: ENCODING, REFCOUNT.")
def object_(session: "Session", request: Request) -> bytes:
    """What the subcommand tells; null without such a key."""
    kind = request[1].upper()
    if kind == b"HELP" and len(request) == 2:
        return replies.array([replies.simple(line) for line in _OBJECT_HELP])
    if kind not in (b"ENCODING", b"REFCOUNT", b"FREQ", b"IDLETIME"):
        raise _unknown(request)
    if len(request) != 3:
        raise _wrong_arity(request)
    value = session.entries.cache.peek(request[2], session.now)
    if value is None:
        return session.null
    if kind == b"ENCODING":
        return replies.bulk(_encoding(value))
    if kind == b"REFCOUNT":
        return replies.ONE
    raise CommandError(_NO_FREQUENCY if kind == b"FREQ" else "ERR IDLETIME is not supported: times of access are not kept")


@MEMORY_FAMILY.command("memory", -2, "readonly", keys=(2, 2, 1), summary="Tells the bytes of an entry: USAGE.")
def memory(session: "Session", request: Request) -> bytes:
    """Bytes, as the cache's bound counts them; null without such a key."""
    kind = request[1].upper()
    if kind == b"HELP" and len(request) == 2:
        return replies.array([replies.simple(line) for line in _MEMORY_HELP])
    if kind != b"USAGE":
        raise _unknown(request)
    if len(request) < 3:
        raise _wrong_arity(request)
    _check_samples(request[3:])
    value = session.entries.cache.peek(request[2], session.now)
    if value is None:
        return session.null
    return replies.integer(len(request[2]) + len(value) + OVERHEAD_BYTES)


def _encoding(value: bytes) -> bytes:
    try:
        integer_of(value)
    except CommandError:
        return b"embstr" if len(value) <= EMBEDDED_BYTES else b"raw"
    return b"int"


def _check_samples(words: Request) -> None:
    """Samples are for values of many elements: their number is checked, and then means nothing."""
    while words:
        if words[0].upper() != b"SAMPLES" or len(words) < 2:
            raise CommandError(SYNTAX)
        if integer_of(words[1]) < 0:
            raise CommandError(SYNTAX)
        words = words[2:]


def _unknown(request: Request) -> CommandError:
    return CommandError(b"ERR unknown subcommand '%b'. Try %b HELP." % (request[1][:128], request[0].upper()))


def _wrong_arity(request: Request) -> CommandError:
    return CommandError(b"ERR wrong number of arguments for '%b|%b' command" % (request[0].lower(), request[1].lower()))
