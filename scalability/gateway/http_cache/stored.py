"""An answer as the cache keeps it. PURE: a value; whoever changes one makes another (``dataclasses.replace``)."""

from dataclasses import dataclass, field
from typing import Final

from scalability.gateway.http_cache.directives import NOTHING_SAID, ResponseDirectives
from scalability.http1.fields import Field

OVERHEAD_BYTES: Final = 2300
"""What a stored answer costs beside the bytes of its body, fields and names: the objects that hold them."""
FIELD_OVERHEAD_BYTES: Final = 130
"""A field line's tuple and the headers of its two ``bytes``."""


@dataclass(frozen=True, slots=True)
class Part:
    """Which bytes of a representation a stored 206 holds (RFC 9110 section 14.4): ``first`` to ``last`` of ``total``, inclusive."""

    first: int
    last: int
    total: int


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A final answer to a GET, ready for reuse. ``_s`` that are no dates are seconds of the clock that lives are measured by."""

    status: int
    """Never 206: a partial answer is kept as the 200 that it is a part of, with ``part``."""
    reason: bytes
    fields: tuple[Field, ...]
    """As received, without those that ``storing.fields_to_store`` leaves out (Content-Length and Age among them); always with Date."""
    body: bytes
    directives: ResponseDirectives = NOTHING_SAID
    response_time_s: float = 0.0
    """When the head was received, or last validated."""
    received_at: float = 0.0
    """The same as a date, in Unix seconds."""
    initial_age_s: float = 0.0
    """How old it was then (``freshness.initial_age``)."""
    lifetime_s: float = 0.0
    explicit: bool = False
    """Whether the lifetime was stated by the origin."""
    date_s: int = 0
    """Its Date, in Unix seconds: of several that match, the most recent is used."""
    vary: tuple[bytes, ...] = ()
    """The request fields that selected it, in lower case and order (RFC 9111 section 4.1)."""
    selecting: tuple[bytes | None, ...] = ()
    """The normalised values of those in its request; None where there was none."""
    etag: bytes | None = None
    """Its entity tag as received, if that is one: ``W/"..."`` or ``"..."``."""
    last_modified_s: int | None = None
    """In Unix seconds."""
    authorized: bool = False
    """Whether its request had Authorization."""
    tags: frozenset[bytes] = frozenset()
    """The words of Surrogate-Key and the members of Cache-Tag, for purging."""
    part: Part | None = None
    """None: the body is the whole representation."""
    must_validate: bool = False
    """Purged softly, invalidated, or contradicted by a HEAD: never to be reused without validation."""
    fresh_until_s: float = field(init=False, default=0.0)
    """When it turns stale; what is compared with the clock for each request."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fresh_until_s", self.response_time_s + self.lifetime_s - self.initial_age_s)

    def age_s(self, now: float) -> float:
        """``current_age`` of RFC 9111 section 4.2.3; never negative."""
        return self.initial_age_s + max(0.0, now - self.response_time_s)

    def get(self, name: bytes) -> bytes | None:
        """The first value of the field with the lower-case ``name``, or None."""
        for found, value in self.fields:
            if found.lower() == name:
                return value
        return None

    def get_all(self, name: bytes) -> list[bytes]:
        """Every value of the field with the lower-case ``name``, in the order received."""
        return [value for found, value in self.fields if found.lower() == name]

    @property
    def validators(self) -> bool:
        """Whether it can be asked for conditionally."""
        return self.etag is not None or self.last_modified_s is not None

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, about."""
        fields = sum(len(name) + len(value) + FIELD_OVERHEAD_BYTES for name, value in self.fields)
        selecting = sum(len(value) for value in self.selecting if value is not None)
        return OVERHEAD_BYTES + len(self.body) + fields + selecting + sum(map(len, self.tags))
