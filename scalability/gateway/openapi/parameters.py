"""PURE. Parameters from text to JSON values, by their style (OpenAPI 3.1 section 4.8.12) and the types that their schema names.

Supported: ``simple`` in paths and fields, ``form``, ``spaceDelimited``, ``pipeDelimited`` and ``deepObject`` in queries, ``form`` in
cookies, each with primitives and (but for ``deepObject``) arrays of them; ``content`` with JSON. What else a document names is refused
when it is read.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final
from urllib.parse import unquote_to_bytes

_INTEGER: Final = re.compile(r"-?[0-9]{1,64}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,64}(?:\.[0-9]{1,64})?(?:[eE][+-]?[0-9]{1,3})?")
_SEPARATORS: Final = {"spaceDelimited": " ", "pipeDelimited": "|"}
STYLES: Final[Mapping[str, tuple[str, ...]]] = {
    "path": ("simple",),
    "header": ("simple",),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "cookie": ("form",),
}
"""What is supported; the first is the default."""

Query = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Types:
    """What a schema lets a value be: names of JSON Schema's types, of the value itself and of what is in it."""

    own: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()
    properties: Mapping[str, frozenset[str]] | None = None

    @property
    def array(self) -> bool:
        """Whether it is an array whenever there is one."""
        return "array" in self.own


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation. ``check`` gives (JSON pointer within the value, what is wrong) for each mistake."""

    name: str
    where: str
    required: bool
    style: str
    explode: bool
    types: Types
    json: bool
    check: Callable[[Any], list[tuple[str, str]]]

    def read(self, values: Sequence[str], query: Query) -> Any:
        """The value that ``values`` (all of that name) stand for; ``query`` is needed for ``deepObject``. Raises ValueError."""
        if self.json:
            return parse_json(values[0])
        if self.style == "deepObject":
            return self._object(query)
        if not self.types.array:
            if len(values) > 1 and self.where in ("query", "cookie"):
                raise ValueError("is given more than once")
            text = ", ".join(values) if self.where == "header" else values[0]
            return primitive(text, self.types.own)
        return [primitive(text, self.types.items) for text in self._texts(values)]

    def _texts(self, values: Sequence[str]) -> list[str]:
        if self.where in ("query", "cookie"):
            if self.explode:
                return list(values)
            if len(values) > 1:
                raise ValueError("is given more than once")
            return values[0].split(_SEPARATORS.get(self.style, ",")) if values[0] else []
        return [text.strip(" \t") for value in values for text in value.split(",")]

    def _object(self, query: Query) -> dict[str, Any]:
        found: dict[str, Any] = {}
        properties = self.types.properties or {}
        for name, values in query.items():
            if name.startswith(f"{self.name}[") and name.endswith("]"):
                key = name[len(self.name) + 1 : -1]
                if len(values) > 1:
                    raise ValueError(f"{key[:64]} is given more than once")
                found[key] = primitive(values[0], properties.get(key, frozenset()))
        return found


def primitive(text: str, types: frozenset[str]) -> Any:
    """``text`` as the first of integer, number, boolean and null that ``types`` has and that it can be; else as text."""
    if "integer" in types and _INTEGER.fullmatch(text):
        return int(text)
    if "number" in types and _NUMBER.fullmatch(text):
        number = float(text)
        if math.isfinite(number):
            return int(text) if _INTEGER.fullmatch(text) else number
    if "boolean" in types and text in ("true", "false"):
        return text == "true"
    if "null" in types and text in ("", "null") and "string" not in types:
        return None
    return text


def parse_query(query: bytes) -> dict[str, list[str]]:
    """The pairs of a query, decoded as forms are (``+`` is a space), all values of a name together. Raises UnicodeDecodeError."""
    found: dict[str, list[str]] = {}
    for pair in query.split(b"&") if query else ():
        name, _, value = pair.replace(b"+", b" ").partition(b"=")
        found.setdefault(_text(name), []).append(_text(value))
    return found


def parse_cookies(fields: Sequence[bytes]) -> dict[str, list[str]]:
    """The pairs of Cookie fields (RFC 6265 section 5.4)."""
    found: dict[str, list[str]] = {}
    for field in fields:
        for pair in field.split(b";"):
            name, equals, value = pair.strip(b" \t").partition(b"=")
            if equals:
                found.setdefault(_text(name), []).append(_text(value))
    return found


def _text(value: bytes) -> str:
    return unquote_to_bytes(value).decode()


MAX_NESTING: Final = 64

# what follows works on whole bodies in a few calls of C: a loop over their pieces would cost ten times the reading
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+', re.DOTALL)
_NO_BRACKETS: Final = bytes(octet for octet in range(256) if octet not in b"[]{}")
_STEPS: Final = [1 if octet in b"[{" else -1 for octet in range(256)]
_ZEROS: Final = bytes.maketrans(b"123456789", b"000000000")


class NotJSON(ValueError):
    """The text is not JSON that can be relied on; says why."""


def parse_json(text: str | bytes, max_nesting: int = MAX_NESTING) -> Any:
    """Read JSON strictly: no NaN, no infinity, no name twice in an object (whoever reads it next might take the other one).

    Raises NotJSON, with the position where there is one.
    """
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    bare = _STRING.sub(b"", data)
    if _nesting(bare) > max_nesting:
        raise NotJSON(f"it is nested more than {max_nesting} deep")
    try:
        parse_float = _finite if _perhaps_infinite(bare) else None
        return json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=parse_float)
    except UnicodeDecodeError as error:
        raise NotJSON(f"it is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise NotJSON(f"{error.msg} (character {error.pos})") from error
    except NotJSON:
        raise
    except (ValueError, RecursionError) as error:  # thousands of digits, say
        raise NotJSON("it has a value that is too large") from error


def _nesting(bare: bytes) -> int:
    """Of JSON without its strings."""
    return max(accumulate(map(_STEPS.__getitem__, bare.translate(None, _NO_BRACKETS))), default=0)


def _perhaps_infinite(bare: bytes) -> bool:
    """Whether a number has an exponent, or hundreds of digits: no other can be too large."""
    words = bare.replace(b"true", b"").replace(b"false", b"")
    return b"e" in words or b"E" in words or b"0" * 300 in bare.translate(_ZEROS)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise NotJSON(f"an object has the name {twice[:64]!r} twice")
    return found


def _no_constant(name: str) -> Any:
    raise NotJSON(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotJSON(f"the number {text[:64]} is too large")
    return number
