"""PURE. Which path of a document a request is for: fixed segments win over those with parameters (OpenAPI 3.1 section 4.8.8.2)."""

import re
from collections.abc import Iterator, Sequence
from typing import Final, Generic, NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes

T = TypeVar("T")

_PARAMETER: Final = re.compile(r"\{([^{}/]+)\}")


class Match(NamedTuple, Generic[T]):
    """What was found, and the path's parameters, decoded as text."""

    found: T
    parameters: dict[str, str]


class _Node(Generic[T]):
    __slots__ = ("fixed", "leaf", "patterns")

    def __init__(self) -> None:
        self.fixed: dict[str, _Node[T]] = {}
        self.patterns: dict[tuple[str, ...], _Node[T]] = {}
        """By what is fixed in the segment: before, between and behind its parameters."""
        self.leaf: tuple[T, tuple[str, ...]] | None = None
        """What was found, and the names of all parameters on the way."""


class PathTree(Generic[T]):
    """Templates such as ``/users/{id}/photo.{kind}``, and what each stands for."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, template: str, found: T) -> None:
        """Raises ValueError when it is no template, or one of the same shape was there before."""
        if not template.startswith("/"):
            raise ValueError(f"{template!r} does not begin with /")
        node = self._root
        names: list[str] = []
        for segment in template[1:].split("/"):
            parameters = _PARAMETER.findall(segment)
            pieces = tuple(map(_decoded, _PARAMETER.split(segment)[::2]))
            if any("{" in piece or "}" in piece for piece in pieces):
                raise ValueError(f"{template!r}: the braces in {segment!r} do not match")
            if not all(pieces[1:-1]):
                raise ValueError(f"{template!r}: there must be something between the parameters of {segment!r}")
            names += parameters
            if parameters:
                node = node.patterns.setdefault(pieces, _Node())
                continue
            node = node.fixed.setdefault(pieces[0], _Node())
        if len(set(names)) < len(names):
            raise ValueError(f"{template!r}: a parameter is named twice")
        if node.leaf is not None:
            raise ValueError(f"{template!r}: another path has the same shape")
        node.leaf = (found, tuple(names))

    def match(self, path: bytes) -> Match[T] | None:
        """What ``path`` (without its query) is for. Parameters are never empty."""
        if path[:1] != b"/":
            return None
        segments = [_decoded(segment) for segment in path[1:].split(b"/")]
        return next(_walk(self._root, segments, 0, ()), None)


def names_in(template: str) -> tuple[str, ...]:
    """The names of a template's parameters."""
    return tuple(_PARAMETER.findall(template))


def _decoded(segment: str | bytes) -> str:
    return unquote_to_bytes(segment).decode("utf-8", "surrogateescape")


def _walk(node: _Node[T], segments: Sequence[str], at: int, values: tuple[str, ...]) -> Iterator[Match[T]]:
    # as many steps as the document has nodes, at most
    if at == len(segments):
        if node.leaf is not None:
            found, names = node.leaf
            yield Match(found, dict(zip(names, values, strict=True)))
        return
    child = node.fixed.get(segments[at])
    if child is not None:
        yield from _walk(child, segments, at + 1, values)
    if not node.patterns:
        return
    # the more fixed characters a segment has, the earlier it is tried
    for pieces in sorted(node.patterns, key=lambda one: -len("".join(one))):
        more = _values(pieces, segments[at])
        if more is not None:
            yield from _walk(node.patterns[pieces], segments, at + 1, (*values, *more))


def _values(pieces: tuple[str, ...], segment: str) -> list[str] | None:
    """The parameters between ``pieces``: each ends where the next piece begins for the first time, so that time is linear."""
    if not (segment.startswith(pieces[0]) and segment.endswith(pieces[-1])):
        return None
    at, end = len(pieces[0]), len(segment) - len(pieces[-1])
    found: list[str] = []
    for piece in pieces[1:-1]:
        until = segment.find(piece, at + 1, end)
        if until < 0:
            return None
        found.append(segment[at:until])
        at = until + len(piece)
    if at >= end:
        return None
    found.append(segment[at:end])
    return found
