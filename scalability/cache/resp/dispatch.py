"""From a request to its reply: which command, whether it may run now, and what its failure is called. PURE.

A request is answered in this order, as Redis does it: unknown name, wrong number of arguments, no password given yet, put off until
EXEC, run.
"""

from collections.abc import Mapping

from twisted.logger import Logger

from scalability.cache.resp.commands import Command, CommandError, Request
from scalability.cache.resp.session import Session
from scalability.resp import replies


class Dispatch:
    """Runs requests of any session of one server."""

    _log = Logger()

    def __init__(self, commands: Mapping[bytes, Command]) -> None:
        self._commands = commands

    def run(self, session: Session, request: Request) -> bytes:
        """The reply to ``request``, encoded. Never raises."""
        command = self._commands.get(request[0]) or self._commands.get(request[0].lower())
        try:
            if command is None:
                raise CommandError(b"ERR unknown command '%b'" % request[0][:128])
            if not command.admits(len(request)):
                raise CommandError(f"ERR wrong number of arguments for '{command.name}' command")
            if not session.authenticated and "no_auth" not in command.flags:
                raise CommandError("NOAUTH Authentication required.")
            reply = command.run(session, request)
        except CommandError as error:
            session.server.counts.errors += 1
            if session.queued is not None:
                session.queue_failed = True
            return replies.error(error.text)
        except Exception:
            session.server.counts.errors += 1
            self._log.failure("the command {name!r} failed", name=command.name if command is not None else request[0][:100])
            return b"-ERR internal error; the server's log has more\r\n"
        session.last_command = command.name
        tracking = session.tracking
        if tracking is not None and command.first_key and "readonly" in command.flags:
            tracking.read(command.keys(request))
        return reply
