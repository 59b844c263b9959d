"""CONFIG: the settings of the server, in Redis' names. They are given at the start; none can be changed later. PURE."""

from typing import TYPE_CHECKING

from scalability.cache.resp.commands import SYNTAX, CommandError, Family, Request
from scalability.cache.resp.globs import MAX_PATTERN_BYTES, glob_of
from scalability.cache.resp.subcommands import Subcommands
from scalability.resp import replies

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

MAX_PATTERNS = 32
"""Of one CONFIG GET: each costs 0.1 ms to understand."""

FAMILY = Family("server")
CONFIG = Subcommands("config")
FAMILY.command("config", -2, "admin noscript", summary="Tells the settings of the server.")(CONFIG)


@CONFIG.subcommand("get", -3, "admin noscript costly", usage="<pattern> [...]", summary="Returns settings and their values.")
def get(session: "Session", request: Request) -> bytes:
    """A map of those that match one of the patterns."""
    if sum(map(len, request[2:])) > MAX_PATTERN_BYTES or len(request) > MAX_PATTERNS + 2:
        raise CommandError(f"ERR {MAX_PATTERNS} patterns of {MAX_PATTERN_BYTES} bytes together are allowed")
    try:
        patterns = [glob_of(pattern.lower()) for pattern in request[2:]]
    except ValueError as error:
        raise CommandError(f"ERR {error}") from error
    found = [
        (replies.bulk(name.encode()), replies.bulk(value.encode()))
        for name, value in session.server.settings.items()
        if any(pattern.matches(name.encode()) for pattern in patterns)
    ]
    return replies.mapping(found, resp3=session.resp3)


@CONFIG.subcommand("set", -4, "admin noscript", usage="<name> <value> [...]", summary="Refused, except for a value that is set already.")
def set_(session: "Session", request: Request) -> bytes:
    """OK when all values are those that the settings have: tools set ``save`` to nothing without asking first."""
    if len(request) % 2:
        raise CommandError(SYNTAX)
    for name, value in zip(request[2::2], request[3::2], strict=True):
        current = session.server.settings.get(name.lower().decode("latin-1"))
        told = name[:128]
        if current is None:
            raise CommandError(b"ERR Unknown option or number of arguments for CONFIG SET - '%b'" % told)
        if value.lower() != current.encode():
            raise CommandError(
                b"ERR CONFIG SET failed (possibly related to argument '%b') - can't set immutable config: it is an option of the "
                b"command line" % told
            )
    return replies.OK


@CONFIG.subcommand("resetstat", 2, "admin noscript", summary="Lets the counts that INFO tells begin at 0.")
def resetstat(session: "Session", request: Request) -> bytes:
    """OK. What metrics tell goes on: counters there never fall."""
    session.server.reset_stats()
    return replies.OK


@CONFIG.subcommand("rewrite", 2, "admin noscript", summary="Refused: there is no file.")
def rewrite(session: "Session", request: Request) -> bytes:
    """An error, Redis' own."""
    raise CommandError("ERR The server is running without a config file")
