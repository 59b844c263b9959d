"""What a route's tables ``rewrite`` and ``compression`` may say."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from scalability.gateway.transform.codings import ENCODERS, KNOWN
from scalability.gateway.transform.compression import COMPRESSIBLE, MIN_BYTES
from scalability.gateway.transform.fields import Rules, answer_rules, request_rules
from scalability.gateway.transform.paths import check_prefix

MAX_RULES = 64
"""Names in one table: each costs every request a little."""


class FieldOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields to ``remove``, then to ``set`` (whatever there was of that name goes), then to ``add``. Values may have ``${variables}``."""

    remove: tuple[str, ...] = ()
    set: dict[str, str] = {}
    add: dict[str, str] = {}

    def __post_init__(self) -> None:
        if len(self.remove) + len(self.set) + len(self.add) > MAX_RULES:
            raise ValueError(f"there are more than {MAX_RULES} fields")


class RewriteOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``replace_prefix`` takes the place of the route's prefix in what the server is asked; ``request`` and ``answer`` are about fields."""

    replace_prefix: str | None = None
    request: FieldOptions = FieldOptions()
    answer: FieldOptions = FieldOptions()

    def __post_init__(self) -> None:
        if self.replace_prefix is not None:
            check_prefix(self.replace_prefix)
        self.request_rules()
        self.answer_rules()

    def request_rules(self) -> Rules:
        """What happens to requests."""
        return request_rules(self.request.remove, self.request.set, self.request.add)

    def answer_rules(self) -> Rules:
        """What happens to answers."""
        return answer_rules(self.answer.remove, self.answer.set, self.answer.add)


class CompressionOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``codings``: the best first; without it all that are installed. ``types`` are added to those that are known to become smaller."""

    codings: tuple[Literal["br", "zstd", "gzip"], ...] = ()
    min_bytes: Annotated[int, Meta(ge=0, le=1 << 30)] = MIN_BYTES
    types: tuple[Annotated[str, Meta(pattern=r"^[a-z0-9!#$&^_.+-]+/(\*|[a-z0-9!#$&^_.+-]+)$", max_length=128)], ...] = ()
    max_at_once: Annotated[int, Meta(ge=1, le=100_000)] = 256
    """Answers that are being encoded; further ones are sent as they are. Each takes about a megabyte."""

    def __post_init__(self) -> None:
        if len(set(self.codings)) != len(self.codings):
            raise ValueError("a coding is named twice")
        for coding in self.codings:
            if coding.encode() not in ENCODERS:
                raise ValueError(f"{coding} needs a library that is not installed: pip install 'scalelab[compression]'")

    def offered(self) -> tuple[bytes, ...]:
        """The codings, the best first."""
        return tuple(name.encode() for name in self.codings or KNOWN if name.encode() in ENCODERS)

    def compressible(self) -> frozenset[bytes]:
        """The media types."""
        return COMPRESSIBLE | {kind.encode() for kind in self.types}
