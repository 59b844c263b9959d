"""Running one command, whatever becomes of it. PURE."""

from typing import TYPE_CHECKING

from scalability.cache.resp.commands import Command, CommandError, Request
from scalability.resp import replies

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session


def call(session: "Session", command: Command, request: Request) -> bytes:
    """The reply to ``request``, encoded. Never raises: what ``command`` fails with is told, or, when it is our
    fault, left to ``ServerState.command_failed``.

    The keys that it may have read are tracked, when the client wants that.
    """
    try:
        reply = command.run(session, request)
    except CommandError as error:
        session.server.counts.errors += 1
        reply = replies.error(error.text)
    except Exception:
        session.server.counts.errors += 1
        session.server.command_failed(command.name)
        reply = b"-ERR internal error; the server's log has more\r\n"
    tracking = session.tracking
    if tracking is not None and command.first_key and "readonly" in command.flags:
        tracking.read(command.keys(request))
    return reply
