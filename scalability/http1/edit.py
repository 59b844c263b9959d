"""A request's head with other fields or another target: for whoever stands between a client and an application.

A field that is put in here is there for good: a client cannot have it taken out again by the next proxy by naming it in Connection.
Only fields that do not belong to the message's framing may go: what ``Content-Length``, ``Transfer-Encoding``, ``Connection``, ``Host``
and the like say is read anew from what is left.
"""

from collections.abc import Sequence
from dataclasses import replace

from scalability.errors import BadMessage
from scalability.http1.fields import Field
from scalability.http1.head_memo import MEMO_BYTES
from scalability.http1.limits import Limits
from scalability.http1.request_head import RequestFields, RequestHead

MAX_EDITS = 256
"""Field blocks that are remembered, of clients that repeat theirs."""


class HeadEditor:
    """Takes the fields ``without`` (lower-case names) out of heads, and puts others in; remembers the last ``MAX_EDITS``."""

    __slots__ = ("_known", "_limits", "_without")

    def __init__(self, without: frozenset[bytes], limits: Limits, *, most_added: int = 2) -> None:
        self._without = without
        # ours are not the client's fault
        self._limits = replace(limits, max_fields=limits.max_fields + most_added)
        self._known: dict[tuple[bytes, int, Sequence[Field]], RequestFields] = {}

    def edit(self, head: RequestHead, added: tuple[Field, ...] = (), target: bytes | None = None) -> RequestHead:
        """``head`` without those fields, with ``added`` behind the others, and perhaps with another ``target`` (in origin form).

        The same object when there is nothing to change. Raises ValueError when ``added`` would break the head.
        """
        asked = head.target if target is None else target
        if not added and self._without.isdisjoint(head.index):
            return head if asked == head.target else RequestHead(head.method, asked, head.minor, head.host, head.shared)
        return RequestHead(head.method, asked, head.minor, head.host, self._edited(head, added))

    def _edited(self, head: RequestHead, added: tuple[Field, ...]) -> RequestFields:
        shared = head.shared
        key = (shared.block[shared.begin :], head.minor, added)
        known = self._known
        fields = known.get(key)
        if fields is None:
            without = self._without
            kept = [(name, value) for name, value in head.fields if name.lower() not in without]
            ours = {name.lower() for name, _ in added}
            if ours & head.connection_options:
                kept = [(name, _without_options(value, ours) if name.lower() == b"connection" else value) for name, value in kept]
            block = b"".join([b"%b: %b\r\n" % field for field in (*kept, *added)]) + b"\r\n"
            try:
                fields = RequestFields(block, 0, head.minor, self._limits)
            except BadMessage as error:
                raise ValueError(f"the fields {added!r} cannot be added to a head") from error
            if len(block) <= MEMO_BYTES:
                if len(known) >= MAX_EDITS:
                    known.clear()
                known[key] = fields
        return fields


def _without_options(value: bytes, names: set[bytes]) -> bytes:
    return b", ".join([option for part in value.split(b",") if (option := part.strip(b" \t")).lower() not in names])
