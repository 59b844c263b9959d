"""What all sessions share. PURE: no sockets here, so that commands are tested without any."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from scalability.cache.entries import Entries
from scalability.cache.resp.commands import Command
from scalability.cache.resp.session import Session
from scalability.cache.resp.tracking_table import TrackingTable
from scalability.cache.resp.transactions import HeldBytes
from scalability.cache.resp.watching import Watches
from scalability.ttlcache.engine import Statistics


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


class ProcessFacts(NamedTuple):
    """What the process takes, by now."""

    pid: int
    resident_bytes: int
    """0 where /proc does not tell."""
    user_s: float
    system_s: float
    python: str
    """The interpreter's version."""


class CountedFrom(NamedTuple):
    """What the counts were at CONFIG RESETSTAT, zeros without one: INFO tells what has been added."""

    counts: ServerCounts
    entries: Statistics


class SnapshotWriting(Protocol):
    """Who writes the entries to a file."""

    writing: bool
    """Now."""
    written_at: float
    """Unix seconds of the last success; 0 before that."""
    duration_s: float
    """Of the last success."""
    last_failed: bool
    loaded: int
    """Entries that were there at the start."""

    def begin(self) -> bool:
        """Begin to write; False when that goes on already."""


class ServerState:
    """One server: its entries, its commands, its clients.

    ``right_password`` tells whether a client's password is the right one; None where none is asked for. ``settings`` are told by
    CONFIG GET, by their names in Redis, as text. ``later`` calls a function when the reactor has done what it is doing. ``process``
    tells INFO of the process.
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
        later: Callable[[Callable[[], None]], object] = lambda call: call(),
        process: Callable[[], ProcessFacts] = lambda: ProcessFacts(0, 0, 0.0, 0.0, ""),
    ) -> None:
        self.entries = entries
        self.commands = commands
        self.right_password = right_password
        self.max_clients = max_clients
        self.settings: dict[str, str] = dict(settings or {})
        self.draw = draw
        """The random source, evenly spread over [0, 1)."""
        self.port = port
        self.later = later
        """Calls a function when the reactor has done what it is doing."""
        self.process = process
        self.started_at = entries.now()
        self.counts = ServerCounts()
        self.counted_from = CountedFrom(ServerCounts(), Statistics())
        self.sessions: dict[int, Session] = {}
        """Those connected now, by their ids."""
        self.end: Callable[[Session], None] = lambda session: None
        """Ends a client's connection, for CLIENT KILL: set by who owns the connections."""
        self.queued = HeldBytes()
        self.watches = Watches(entries)
        self.tracking = TrackingTable(entries, later)
        self.command_failed: Callable[[str], None] = lambda name: None
        """Logs the exception under way, which the named command raised: set by who owns the connections."""
        self.snapshots: SnapshotWriting | None = None
        """Set by whoever has them; None: nothing is kept over a restart."""
        self._last_id = 0

    def reset_stats(self) -> None:
        """Let what INFO counts begin at 0 again."""
        self.counted_from = CountedFrom(replace(self.counts), replace(self.entries.cache.stats))

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
        for ended in (session.queued, session.watch, session.tracking):
            if ended is not None:
                ended.end()
