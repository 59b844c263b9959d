"""BGSAVE, LASTSAVE and SAVE: the snapshot, where the server keeps one. PURE."""

from typing import TYPE_CHECKING

from scalability.cache.resp.commands import SYNTAX, CommandError, Family, Request
from scalability.resp import replies

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

FAMILY = Family("server")

NONE = "ERR there is no snapshot: the server was started without --snapshot FILE"


@FAMILY.command("bgsave", -1, "admin noscript", summary="Writes the snapshot, while the server goes on.")
def bgsave(session: "Session", request: Request) -> bytes:
    """OK in other words, or why not. SCHEDULE changes nothing."""
    if len(request) > 2 or (len(request) == 2 and request[1].lower() != b"schedule"):
        raise CommandError(SYNTAX)
    kept = session.server.snapshots
    if kept is None:
        raise CommandError(NONE)
    if not kept.begin():
        raise CommandError("ERR Background save already in progress")
    return replies.simple(b"Background saving started")


@FAMILY.command("lastsave", 1, "fast noscript", summary="Returns when the snapshot was written last, or the server started.")
def lastsave(session: "Session", request: Request) -> bytes:
    """Whole unix seconds."""
    server = session.server
    written_at = server.snapshots.written_at if server.snapshots is not None else 0.0
    return replies.integer(int(written_at or server.started_at))


@FAMILY.command("save", 1, "admin noscript no_multi", summary="Refused: BGSAVE does it without holding the server up.")
def save(session: "Session", request: Request) -> bytes:
    """A refusal."""
    raise CommandError("ERR SAVE is refused, since nobody would be served meanwhile: use BGSAVE")
