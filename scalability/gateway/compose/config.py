"""What a route's table ``compose`` may say."""

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from scalability.gateway.compose.patterns import PathPattern
from scalability.http1.forward import HOP_BY_HOP

MAX_PARTS = 32
"""Each client's request becomes so many requests at most."""

_FIELD = re.compile(r"[!#$%&'*+\-.^`|~0-9A-Za-z_]{1,256}")
_NOT_PASSED = frozenset(name.decode() for name in HOP_BY_HOP) | {
    "content-length", "content-type", "content-encoding", "host", "trailer", "expect", "range", "if-range", "if-match", "if-none-match",
    "if-modified-since", "if-unmodified-since", "accept-encoding", "forwarded", "via", "x-request-id", "traceparent",
}  # fmt: skip
"""About the one message, or about a representation that no part has."""


class PartOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One part: ``name`` for errors, ``target`` (a path of this gateway, with the route's parameters) to ask for with GET.

    ``pick`` names the members that are wanted; ``group`` is the member that they are put into, without it they stand at the top.
    A part with ``fallback`` (any value in a ``group``, else a table), or with ``required = false``, may fail.
    """

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    target: str
    group: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    pick: tuple[str, ...] | None = None
    required: bool | None = None
    fallback: Any = None
    query: tuple[str, ...] | None = None
    """Those of the client's query arguments that are passed on to this part, instead of the route's ``query``."""

    def __post_init__(self) -> None:
        PathPattern.parse(self.target, query=True)
        if self.required and self.fallback is not None:
            raise ValueError("a required part has no fallback")
        if self.fallback is not None and self.group is None and not isinstance(self.fallback, dict):
            raise ValueError("without a group the fallback must be a table, whose members stand at the top")
        if self.pick is not None and not self.pick:
            raise ValueError("pick names nothing")
        try:
            msgspec.json.encode(self.fallback)
        except TypeError as error:
            raise ValueError("the fallback is no JSON") from error

    @property
    def must_succeed(self) -> bool:
        """Whether there is no answer without this part."""
        return self.fallback is None and self.required is not False


class ComposeOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``path`` is matched against what the client asks, all of it; ``timeout`` is for all ``parts`` together."""

    path: str
    parts: Annotated[tuple[PartOptions, ...], Meta(min_length=1, max_length=MAX_PARTS)]
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 2.0
    """Seconds."""
    max_part_bytes: Annotated[int, Meta(ge=1, le=64 << 20)] = 1 << 20
    max_at_once: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    """Requests for this route that are being composed; further ones are answered 503."""
    query: tuple[str, ...] = ()
    """Names of the client's query arguments that are passed on."""
    fields: tuple[str, ...] = ("Accept-Language", "Authorization")
    """Fields of the client's request that are passed on."""

    def __post_init__(self) -> None:
        path = PathPattern.parse(self.path)
        names: set[str] = set()
        groups: set[str] = set()
        for part in self.parts:
            if part.name in names:
                raise ValueError(f"two parts have the name {part.name}")
            if part.group is not None and part.group in groups:
                raise ValueError(f"two parts have the group {part.group}")
            names.add(part.name)
            groups |= {part.group} if part.group is not None else set()
            unknown = set(PathPattern.parse(part.target, query=True).parameters) - set(path.parameters)
            if unknown:
                raise ValueError(f"the target of {part.name} needs {', '.join(sorted(unknown))}, which {self.path} does not have")
        for name in self.fields:
            if _FIELD.fullmatch(name) is None or name.lower() in _NOT_PASSED or name.lower().startswith("x-forwarded-"):
                raise ValueError(f"fields: {name[:64]!r} cannot be passed on to the parts")
