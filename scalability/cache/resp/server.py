"""What all sessions share. PURE: no sockets here, so that commands are tested without any."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scalability.cache.entries import Entries
from scalability.cache.resp.commands import Command
from scalability.cache.resp.session import Session


@dataclass(slots=True)
class ServerCounts:
    """Counts since the start."""

    connections: int = 0
    """Clients that were accepted."""
    rejected_connections: int = 0
    """Clients refused at ``max_clients``."""
    commands: int = 0
    errors: int = 0
    """Replies that were errors."""
    protocol_errors: int = 0
    """Connections ended for bytes that are no RESP."""
    slow_readers: int = 0
    """Connections ended because their answers were not read."""


class ServerState:
    """One server: its entries, its commands, its clients.

    ``right_password`` tells whether a client's password is the right one; None where none is asked for. ``settings``
    are told by CONFIG GET, by their names in Redis, as text.
    """

    def __init__(
        self,
        entries: Entries,
        commands: Mapping[bytes, Command],
        *,
        right_password: Callable[[bytes], bool] | None = None,
        max_clients: int = 10_000,
        settings: Mapping[str, str] | None = None,
        draw: Callable[[], float],
        port: int = 0,
    ) -> None:
        self.entries = entries
        self.commands = commands
        self.right_password = right_password
        self.max_clients = max_clients
        self.settings: dict[str, str] = dict(settings or {})
        self.draw = draw
        """The random source, evenly spread over [0, 1)."""
        self.port = port
        self.started_at = entries.now()
        self.counts = ServerCounts()
        self.sessions: dict[int, Session] = {}
        """Those connected now, by their ids."""
        self.end: Callable[[Session], None] = lambda session: None
        """Ends a client's connection, for CLIENT KILL: set by who owns the connections."""
        self.after_batch: list[Callable[[], None]] = []
        """What is to be called when the requests that came together have been run."""
        self._last_id = 0

    def batch_ended(self) -> None:
        """Call, once each, what ``after_batch`` has."""
        calls, self.after_batch = self.after_batch, []
        for call in calls:
            call()

    @property
    def password_needed(self) -> bool:
        """Whether clients must authenticate first."""
        return self.right_password is not None

    def open(self, address: str, push: Callable[[bytes], None]) -> Session:
        """A new client."""
        self._last_id += 1
        self.counts.connections += 1
        session = self.sessions[self._last_id] = Session(self, self._last_id, address, push)
        return session

    def close(self, session: Session) -> None:
        """The client has left: whatever it watched and tracked is forgotten."""
        self.sessions.pop(session.id, None)
        for ended in (session.watch, session.tracking):
            if ended is not None:
                ended.end()
