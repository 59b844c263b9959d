"""Which clients are to be told of which keys' changes: the server's half of client-side caching. PURE.

Redis' protocol (https://redis.io/docs/latest/develop/reference/client-side-caching/), in its two modes:

* by default a client is told of a change of each key that it has read, once; to hear of that key again it must read it again;
* with BCAST it is told of every change of keys that begin with one of its prefixes, in one message for all changes of a prefix since
  the reactor's last turn.

All keys gone (FLUSHALL) is told as null. What nobody tracks costs nothing: the table
observes the entries only while a client tracks.

What is held is bounded: when the keys read, their bytes, or the pairs of key and client reach their bound, some of those that were
read first are told as changed, and forgotten.
"""

from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from scalability.cache.entries import Entries
from scalability.cache.resp.tracked_keys import TrackedKeys
from scalability.resp import replies

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

MAX_KEYS = 250_000
MAX_KEY_BYTES = 64 << 20
MAX_PAIRS = 1_000_000

_INVALIDATE = replies.bulk(b"invalidate")
FLUSHED = replies.push([_INVALIDATE, replies.NULL])
"""All keys are gone."""


def changed_keys(keys: Iterable[bytes]) -> bytes:
    """The message that ``keys`` have changed."""
    return replies.push([_INVALIDATE, replies.bulks(list(keys))])


class TrackingTable:
    """All clients' of one server. ``later`` calls a function in the reactor's next turn."""

    def __init__(
        self,
        entries: Entries,
        later: Callable[[Callable[[], None]], object],
        *,
        max_keys: int = MAX_KEYS,
        max_key_bytes: int = MAX_KEY_BYTES,
        max_pairs: int = MAX_PAIRS,
    ) -> None:
        self._entries = entries
        self._later = later
        self._read = TrackedKeys(later, max_keys=max_keys, max_key_bytes=max_key_bytes, max_pairs=max_pairs)
        self._clients: dict[int, Tracking] = {}
        self._prefixes: dict[bytes, set[int]] = {}
        self._lengths: list[int] = []
        """Those that prefixes have."""
        self._changes: dict[bytes, dict[bytes, int | None]] = {}
        """By prefix: the keys that have changed since the last turn, and the one client that did it, if it was one."""

    @property
    def clients(self) -> int:
        """Clients that track."""
        return len(self._clients)

    @property
    def keys(self) -> int:
        """Keys whose next change somebody is to hear of."""
        return self._read.keys

    @property
    def pairs(self) -> int:
        """Pairs of such a key and a client."""
        return self._read.pairs

    @property
    def prefixes(self) -> int:
        """Prefixes, those of several clients counted once."""
        return len(self._prefixes)

    # the clients' side

    def enter(self, client: "Tracking") -> None:
        """Called by a client that begins to track."""
        if not self._clients:
            self._entries.observe(self)
        self._clients[client.id] = client

    def leave(self, client: "Tracking") -> None:
        """Called by a client that ends it. The keys that it has read are forgotten as they change, or when nobody tracks."""
        self._clients.pop(client.id, None)
        for prefix in client.prefixes:
            clients = self._prefixes[prefix]
            clients.discard(client.id)
            if not clients:
                del self._prefixes[prefix]
                self._changes.pop(prefix, None)
        self._measure_prefixes()
        if not self._clients:
            self._entries.unobserve(self)
            self._read.clear()

    def add_prefix(self, client: "Tracking", prefix: bytes) -> None:
        """Called by a client in BCAST mode."""
        self._prefixes.setdefault(prefix, set()).add(client.id)
        self._measure_prefixes()

    def add_read(self, client: "Tracking", key: bytes) -> None:
        """Called by a client in the default mode: it has read ``key``, whether it is there or not."""
        self._read.add(key, client.id)
        for oldest in self._read.excess():
            self._tell_readers(oldest, None)

    # the entries' side

    def changed(self, key: bytes, by: Any) -> None:
        """Part of ``Observer``."""
        number = None if by is None else by.id
        self._tell_readers(key, number)
        for length in self._lengths:
            prefix = key[:length]
            if len(prefix) == length and prefix in self._prefixes:
                self._note(prefix, key, number)

    def cleared(self, by: Any) -> None:
        """Part of ``Observer``: everybody is told, NOLOOP or not, as in Redis."""
        self._read.clear()
        for client in tuple(self._clients.values()):
            client.tell(FLUSHED)

    def flush(self) -> None:
        """Tell what BCAST is to tell, in the order of the alphabet, as Redis does."""
        changes, self._changes = self._changes, {}
        for prefix, keys in sorted(changes.items()):
            message = changed_keys(sorted(keys))
            for number in tuple(self._prefixes.get(prefix, ())):
                client = self._clients[number]
                if not client.noloop:
                    client.tell(message)
                elif others := sorted(key for key, by in keys.items() if by != number):
                    client.tell(changed_keys(others))

    def _tell_readers(self, key: bytes, by: int | None) -> None:
        readers = self._read.pop(key)
        if readers is None:
            return
        message = changed_keys([key])
        for reader in readers:
            client = self._clients.get(reader)
            if client is not None and not client.broadcast and not (client.noloop and reader == by):
                client.tell(message)

    def _note(self, prefix: bytes, key: bytes, by: int | None) -> None:
        if not self._changes:
            self._later(self.flush)
        keys = self._changes.setdefault(prefix, {})
        keys[key] = by if keys.get(key, by) == by else None

    def _measure_prefixes(self) -> None:
        self._lengths = sorted({len(prefix) for prefix in self._prefixes})


class Tracking:
    """One client's, from CLIENT TRACKING ON to OFF or its end.

    ``read`` is called with the keys of every command that reads, ``passed`` after every command that was run by itself, not by EXEC.
    """

    def __init__(self, table: TrackingTable, session: "Session", *, broadcast: bool) -> None:
        self._table = table
        self._session = session
        self.id = session.id
        self.broadcast = broadcast
        self.optin = self.optout = self.noloop = False
        self.caching = False
        """CLIENT CACHING was sent, about the command that follows it."""
        self.prefixes: list[bytes] = []
        """In the order of the alphabet."""
        table.enter(self)

    def read(self, keys: Iterable[bytes]) -> None:
        """The client has been told what ``keys`` hold."""
        if self.broadcast or (self.optin and not self.caching) or (self.optout and self.caching):
            return
        for key in keys:
            self._table.add_read(self, key)

    def passed(self, name: str) -> None:
        """The command ``name`` (empty: one that cannot be) has been run: CLIENT CACHING is about one command, or one transaction."""
        if self.caching and name != "client" and self._session.queued is None:
            self.caching = False

    def add_prefixes(self, prefixes: Iterable[bytes]) -> None:
        """Listen to these too; the empty one is that of all keys."""
        for prefix in prefixes:
            if prefix not in self.prefixes:
                insort(self.prefixes, prefix)
                self._table.add_prefix(self, prefix)

    def tell(self, message: bytes) -> None:
        """Send ``message``; the connection drops it while the client speaks RESP2, which has no messages."""
        self._session.push(message)

    def flags(self) -> Iterator[bytes]:
        """The words of CLIENT TRACKINGINFO."""
        yield b"on"
        words = [(self.broadcast, b"bcast"), (self.optin, b"optin"), (self.optin and self.caching, b"caching-yes")]
        words += [(self.optout, b"optout"), (self.optout and self.caching, b"caching-no"), (self.noloop, b"noloop")]
        yield from (word for holds, word in words if holds)

    def end(self) -> None:
        """Track nothing any more."""
        self._table.leave(self)
