"""From a request to its reply: which command, whether it may run now, and what its failure is called. PURE.

A request is answered in this order, as Redis does it: unknown name, wrong number of arguments, no password given yet, put off until
EXEC, run.
"""

from collections.abc import Mapping

from scalability.cache.resp.calling import call
from scalability.cache.resp.commands import Command, CommandError, Request
from scalability.cache.resp.session import Session
from scalability.cache.resp.transactions import enqueue, leave
from scalability.cache.resp.unsupported import unknown
from scalability.resp import replies

_OF_HTTP = frozenset((b"post", b"host:"))
"""What begins lines of an HTTP request: a page that a browser has open may send one to any port of the machine, with commands as its
body. The connection ends before they come (as Redis does it)."""


class Dispatch:
    """Runs requests of any session of one server."""

    def __init__(self, commands: Mapping[bytes, Command]) -> None:
        self._commands = commands

    def run(self, session: Session, request: Request) -> bytes:
        """The reply to ``request``, encoded. Never raises."""
        command = self._commands.get(request[0]) or self._commands.get(request[0].lower())
        try:
            if command is None:
                if request[0].lower() in _OF_HTTP:
                    session.closing = True
                    raise CommandError("ERR this port speaks RESP, and HTTP was sent: is another port meant?")
                raise CommandError(unknown(request))
            if not command.admits(len(request)):
                raise _wrong_arity(session, command)
            if not session.authenticated and "no_auth" not in command.flags:
                raise CommandError("NOAUTH Authentication required.")
            if session.queued is not None and "no_multi" not in command.flags:
                return enqueue(session, command, request)
        except CommandError as error:
            session.server.counts.errors += 1
            if session.queued is not None:
                session.queue_failed = True
            if session.tracking is not None:
                session.tracking.passed("")
            return replies.error(error.text)
        reply = call(session, command, request)
        session.last_command = command.name
        if session.tracking is not None:
            session.tracking.passed(command.name)
        return reply


def _wrong_arity(session: Session, command: Command) -> CommandError:
    """EXEC, when it is told in a wrong way, ends the transaction nevertheless."""
    error = f"wrong number of arguments for '{command.name}' command"
    if command.name != "exec":
        return CommandError(f"ERR {error}")
    leave(session)
    return CommandError(f"EXECABORT Transaction discarded because of: {error}")
