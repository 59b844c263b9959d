"""Keeping what a command has made of a value. PURE."""

from typing import TYPE_CHECKING

from scalability.cache.resp.commands import CommandError
from scalability.ttlcache.engine import Outcome

if TYPE_CHECKING:
    from scalability.cache.resp.session import Session

TOO_LARGE = "ERR string exceeds maximum allowed size"
"""Key and value together are larger than one entry may be (``--max-value-bytes``)."""

_TOO_LARGE = Outcome.TOO_LARGE
"""A name of the module's, as CPython 3.11 has no fast way to a member of an enumeration."""

MAX_REPLY_BYTES = 128 << 20
"""The values of one answer. A request may name one large value 60,000 times, and answers are made before they are sent."""


def store(session: "Session", key: bytes, value: bytes, expires_at: float) -> None:
    """Keep ``value`` until ``expires_at`` (unix seconds, ``inf``: until evicted).

    Raises CommandError when it is too large; nothing is left of the key then, so that nobody reads what is out of date.
    """
    # what Entries.put does, in one call less
    entries = session.entries
    outcome = entries.cache.put(key, value, session.now, expires_at, len(key) + len(value))
    entries.changes += 1
    if entries.observers:
        entries.changed(key, session)
    if outcome is _TOO_LARGE:
        raise CommandError(TOO_LARGE)


def check_size(session: "Session", key: bytes, value_bytes: int) -> None:
    """Raise CommandError when a value of so many bytes is too large for ``key``: before it is made, and before anything is changed."""
    if len(key) + value_bytes > session.entries.cache.max_object_bytes:
        raise CommandError(TOO_LARGE)
