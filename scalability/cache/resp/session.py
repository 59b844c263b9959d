"""What the server knows of one client of RESP. PURE: the connection (``connection.py``) moves the bytes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from scalability.cache.entries import Entries
from scalability.resp import replies

if TYPE_CHECKING:
    from scalability.cache.resp.server import ServerState


class Session:
    """One client, from connecting to leaving.

    ``now`` is the moment of the batch of requests under way, in unix seconds: all commands of a batch see the same.
    ``push`` sends a message that no request asked for, unless the client speaks RESP2, which has no such messages. ``plain`` is
    False while requests need more than to be run: before AUTH, within MULTI, with tracking on, at the end.
    """

    def __init__(self, server: "ServerState", number: int, address: str, push: Callable[[bytes], None]) -> None:
        self.server = server
        self.entries: Entries = server.entries
        self.id = number
        self.address = address
        self.push = push
        self.now = 0.0
        self.connected_at = server.entries.now()
        self.name = b""
        self.library = b""
        self.library_version = b""
        self.resp3 = False
        self.null = replies.NULL_BULK
        """A string that is missing, in the client's version of the protocol."""
        self.null_array = replies.NULL_ARRAY
        self.authenticated = not server.password_needed
        self.closing = False
        """Set by QUIT and the like: the connection ends once the answers are sent."""
        self.queued: Any = None
        """The commands since MULTI (``transactions.py``); None outside of it."""
        self.queue_failed = False
        """A command could not be queued: EXEC refuses."""
        self.watch: Any = None
        """What WATCH watches for this client (``transactions.py``)."""
        self.tracking: Any = None
        """What CLIENT TRACKING set (``tracking.py``); None: off."""
        self.last_command = ""

    @property
    def plain(self) -> bool:
        """Whether requests need only to be run."""
        return self.authenticated and self.queued is None and self.tracking is None and not self.closing

    def speak(self, version: int) -> None:
        """Use RESP2 or RESP3 from now on."""
        self.resp3 = version == 3
        self.null = replies.NULL if self.resp3 else replies.NULL_BULK
        self.null_array = replies.NULL if self.resp3 else replies.NULL_ARRAY
