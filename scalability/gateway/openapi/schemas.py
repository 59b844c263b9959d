"""JSON Schema for one document, by jsonschema-rs. Patterns run on an engine whose time is linear; nothing is fetched; texts are bounded."""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Final
from urllib.parse import quote

from scalability.gateway.openapi.document import BadDocument, Document, pointer
from scalability.gateway.openapi.parameters import Types

MAX_PROBLEMS: Final = 10
"""Of one value that are told."""

_URI: Final = "urn:scalelab:openapi"
_MASK: Final = "the value"
"""What stands in messages for what a client sent: it may be long, and it may be secret."""

Check = Callable[[Any], list[tuple[str, str]]]
"""What is wrong with a value: JSON pointers into it (RFC 6901), and sentences. Nothing: it is valid."""


class Schemas:
    """Makes checks for schemas of ``document``."""

    def __init__(self, document: Document) -> None:
        try:
            rust: Any = import_module("jsonschema_rs")
        except ImportError as error:
            raise BadDocument("validation needs a library that is not installed: pip install 'scalelab[openapi]'") from error
        self._document = document
        draft, self._validator = (rust.Draft4, rust.Draft4Validator) if document.old else (rust.Draft202012, rust.Draft202012Validator)
        self._rust = rust
        try:
            self._registry = rust.Registry([(_URI, document.root)], draft=draft)
        except ValueError as error:
            raise BadDocument(_first_line(error)) from error

    def check(self, at: str) -> "SchemaCheck":
        """The check for the schema at the JSON pointer ``at``. Raises BadDocument."""
        try:
            validator = self._validator(
                {"$ref": f"{_URI}#{quote(at, safe='/~')}"},
                registry=self._registry,
                pattern_options=self._rust.RegexOptions(),
                validate_formats=True,
                offline=True,
                mask=_MASK,
            )
        except ValueError as error:
            raise BadDocument(f"{at}: {_first_line(error)}") from error
        return SchemaCheck(self._document, at, validator)

    def types(self, at: str) -> Types:
        """What the schema at ``at`` lets a value be; unions and references are followed a few steps. Raises BadDocument."""
        own = frozenset(self._types_at(at, 0))
        schema, where = self._document.resolve(self._document.at(at), at)
        items = frozenset(self._types_at(where + "/items", 0)) if isinstance(schema.get("items"), dict) else frozenset()
        properties = schema.get("properties")
        named = properties if isinstance(properties, dict) else {}
        return Types(own, items, {name: frozenset(self._types_at(where + pointer("properties", name), 0)) for name in named})

    def _types_at(self, at: str, depth: int) -> Iterable[str]:
        node = self._document.at(at)
        if depth > 8 or not isinstance(node, dict):
            return
        schema, where = self._document.resolve(node, at)
        stated = schema.get("type", ())
        yield from [stated] if isinstance(stated, str) else stated
        for union in ("allOf", "anyOf", "oneOf"):
            for index in range(len(schema.get(union, ()))):
                yield from self._types_at(where + pointer(union, index), depth + 1)


class SchemaCheck:
    """A ``Check`` by the schema at the JSON pointer ``at`` of ``document``."""

    __slots__ = ("_validator", "at", "document")

    def __init__(self, document: Document, at: str, validator: Any) -> None:
        self.document = document
        self.at = at
        self._validator = validator

    def __call__(self, value: Any) -> list[tuple[str, str]]:
        validator = self._validator
        try:
            return [] if validator.is_valid(value) else _told(validator.iter_errors(value))
        except ValueError:  # a lone surrogate, say, which no text of the schema's engine can hold
            return [("", "holds text or a number that cannot be checked")]


def _told(errors: Iterable[Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for error in errors:
        found.append((pointer(*error.instance_path), str(error.message)[:300]))
        if len(found) == MAX_PROBLEMS:
            break
    return found


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:300]
