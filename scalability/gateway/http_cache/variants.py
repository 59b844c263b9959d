"""The stored answers of one URI, and which of them a request selects (RFC 9111 section 4.1). PURE, bounded."""

from typing import Final

from scalability.gateway.http_cache.directives import Fields
from scalability.gateway.http_cache.key import selecting_values
from scalability.gateway.http_cache.stored import StoredAnswer

MAX_VARIANTS: Final = 64
"""So many answers of one URI are kept; one more takes the place of the one that came first."""


class Variants:
    """At most ``most`` answers, one for each set of selecting fields and their values; the oldest goes first."""

    __slots__ = ("_by_names", "_most", "_order")

    def __init__(self, most: int = MAX_VARIANTS) -> None:
        self._most = most
        self._by_names: dict[tuple[bytes, ...], dict[tuple[bytes | None, ...], StoredAnswer]] = {}
        self._order: dict[tuple[tuple[bytes, ...], tuple[bytes | None, ...]], None] = {}

    def __len__(self) -> int:
        return len(self._order)

    @property
    def answers(self) -> list[StoredAnswer]:
        """All of them, the oldest first."""
        return [self._by_names[names][values] for names, values in self._order]

    @property
    def size_bytes(self) -> int:
        """The sum of the answers' sizes."""
        return sum(answer.size_bytes for answer in self.answers)

    def matching(self, request: Fields) -> list[StoredAnswer]:
        """Those whose selecting fields match ``request``, the one to use first.

        That is the most recent one by its Date; one with Vary goes before those without, which are the resource's default, sent by
        servers that forgot Vary there.
        """
        found = []
        for names, by_values in self._by_names.items():
            answer = by_values.get(selecting_values(names, request) if names else ())
            if answer is not None:
                found.append(answer)
        if len(found) > 1:
            found.sort(key=lambda answer: (bool(answer.vary), answer.date_s, answer.response_time_s), reverse=True)
        return found

    def chosen(self, request: Fields) -> StoredAnswer | None:
        """The first of ``matching``, or None."""
        matching = self.matching(request)
        return matching[0] if matching else None

    def put(self, answer: StoredAnswer) -> StoredAnswer | None:
        """Keep ``answer`` in the place of the one with the same selecting fields, or beside the others; answers what had to go."""
        place = (answer.vary, answer.selecting)
        by_values = self._by_names.setdefault(answer.vary, {})
        gone = by_values.get(answer.selecting)
        by_values[answer.selecting] = answer
        self._order.pop(place, None)
        self._order[place] = None
        if len(self._order) > self._most:
            gone = self.remove(*next(iter(self._order)))
        return gone

    def remove(self, vary: tuple[bytes, ...], selecting: tuple[bytes | None, ...]) -> StoredAnswer | None:
        """Take out the answer with these selecting fields; None if there is none."""
        by_values = self._by_names.get(vary, {})
        answer = by_values.pop(selecting, None)
        if answer is not None:
            del self._order[vary, selecting]
            if not by_values:
                del self._by_names[vary]
        return answer
