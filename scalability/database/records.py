"""Records: JSON values by key, and the lab's one message, as operations on a store."""

from collections.abc import Callable
from typing import NamedTuple

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from scalability.sql import Schema, Session, Store

MAX_KEY_BYTES = 1024
PAGE_BYTES = 4 << 20
"""Bytes of values after which a page ends, even before its limit: a thousand records of 1 MiB would not fit in memory."""

SCHEMA = Schema(
    "database record",
    0x5CA1_0DB1,
    (
        (
            # blobs: keys compare as bytes, which is also the order of their code points
            "CREATE TABLE record (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL, updated_ms INTEGER NOT NULL)",
            "CREATE TABLE message (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL)",
            "INSERT INTO message VALUES (1, 'Fetched fresh data from DB')",
        ),
    ),
)


class Record(NamedTuple):
    """``value`` is the JSON text as its writer sent it; ``updated_s`` the Unix time of its last change."""

    key: bytes
    value: bytes
    updated_s: float


class Page(NamedTuple):
    """Records in the order of their keys; ``after`` is the key to go on from, None at the end."""

    records: list[Record]
    after: bytes | None


class Records(Service):
    """The records of ``store``, which starts before it. ``wall`` answers the Unix time in seconds.

    Every method may fail with StoreError.
    """

    def __init__(self, store: Store, wall: Callable[[], float]) -> None:
        self._store = store
        self._wall = wall
        self.count = 0
        """How many records there are; counted when the service starts, and kept from then on."""

    def startService(self) -> None:
        super().startService()
        self.count = self._store.read_now(lambda session: int(session.execute("SELECT count(*) FROM record").fetchone()[0]))

    def message(self) -> Deferred[str]:
        """What ``GET /db`` tells."""
        return self._store.read(lambda session: str(session.execute("SELECT text FROM message").fetchone()[0]))

    def get(self, key: bytes) -> Deferred[Record | None]:
        """The record with this key, None when there is none."""

        def query(session: Session) -> Record | None:
            row = session.execute("SELECT value, updated_ms FROM record WHERE key = ?", (key,)).fetchone()
            return Record(key, row[0], row[1] / 1000) if row else None

        return self._store.read(query)

    def put(self, key: bytes, value: bytes) -> Deferred[bool]:
        """Write a record; True when it is new, False when it replaces one. Durable when this fires."""
        now_ms = int(self._wall() * 1000)

        def operation(session: Session) -> bool:
            updated = session.execute("UPDATE record SET value = ?, updated_ms = ? WHERE key = ?", (value, now_ms, key))
            if updated.rowcount:
                return False
            session.execute("INSERT INTO record (key, value, updated_ms) VALUES (?, ?, ?)", (key, value, now_ms))
            return True

        return self._store.write(operation, committed=self._counted(1))

    def delete(self, key: bytes) -> Deferred[bool]:
        """Remove a record; False when there was none. Durable when this fires."""

        def operation(session: Session) -> bool:
            return session.execute("DELETE FROM record WHERE key = ?", (key,)).rowcount > 0

        return self._store.write(operation, committed=self._counted(-1))

    def page(self, *, prefix: bytes = b"", after: bytes = b"", limit: int) -> Deferred[Page]:
        """At most ``limit`` records whose keys start with ``prefix`` and are greater than ``after``."""

        def query(session: Session) -> Page:
            clauses, values = ["key > ?", "key >= ?"], [after, prefix]
            end = successor(prefix)
            if end is not None:
                clauses.append("key < ?")
                values.append(end)
            rows = session.execute(f"SELECT key, value, updated_ms FROM record WHERE {' AND '.join(clauses)} ORDER BY key", values)
            records: list[Record] = []
            size = 0
            for key, value, updated_ms in rows:
                if len(records) == limit or (records and size + len(value) > PAGE_BYTES):
                    return Page(records, records[-1].key)
                size += len(value)
                records.append(Record(key, value, updated_ms / 1000))
            return Page(records, None)

        return self._store.read(query)

    def _counted(self, change: int) -> Callable[[bool], None]:
        def committed(changed: bool) -> None:
            if changed:
                self.count += change

        return committed


def successor(prefix: bytes) -> bytes | None:
    """The least bytes greater than everything that starts with ``prefix``; None when there is no such."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None
