"""An OpenAPI document of version 3.0 or 3.1, read once at the start. Nothing is ever fetched: every ``$ref`` points into the document.

Schemas of 3.0 are those of JSON Schema's fourth draft but for ``nullable``, which is written the draft's way here. In the schemas of
requests, properties that are ``readOnly`` are not required (OpenAPI 3.1 section 4.8.24.1 has that concern answers alone).
"""

import json
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import unquote

MAX_BYTES: Final = 16 << 20
MAX_NODES: Final = 1_000_000
"""Of objects and lists: aliases of YAML may stand for many more than were written."""
MAX_DEPTH: Final = 200

_VERSION: Final = re.compile(r"3\.[01]\.[0-9]+(?:-.*)?")
_DIALECTS: Final = ("https://spec.openapis.org/oas/3.1/dialect/base", "https://json-schema.org/draft/2020-12/schema")
_VALUES: Final = frozenset(("example", "examples", "default", "enum", "const"))
"""Members that hold values, in which nothing is a schema or a reference."""


class BadDocument(ValueError):
    """The document cannot be used; says where and why."""


class Document:
    """``root`` is the whole as plain dictionaries and lists; ``old``: its version is 3.0."""

    def __init__(self, root: dict[str, Any]) -> None:
        version = root.get("openapi")
        if not isinstance(version, str) or _VERSION.fullmatch(version) is None:
            raise BadDocument("openapi: only the versions 3.0 and 3.1 are understood")
        dialect = root.get("jsonSchemaDialect", _DIALECTS[0])
        if dialect not in _DIALECTS:
            raise BadDocument("jsonSchemaDialect: only that of OpenAPI 3.1, and that of draft 2020-12, are understood")
        self.old = version.startswith("3.0")
        self.root: dict[str, Any] = _Conversion(self.old).of(root)
        for at, reference in _references(self.root, ""):
            if not reference.startswith("#"):
                raise BadDocument(f"{at}: {reference!r} is another document; only references that begin with # are followed")

    @classmethod
    def parse(cls, data: bytes, *, yaml: bool) -> Self:
        """Read JSON, or YAML 1.2 as far as OpenAPI uses it. Raises BadDocument."""
        if len(data) > MAX_BYTES:
            raise BadDocument(f"it is larger than {MAX_BYTES} bytes")
        try:
            root = _read_yaml(data) if yaml else json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BadDocument(f"it is not {'YAML' if yaml else 'JSON'}: {error}") from error
        if not isinstance(root, dict):
            raise BadDocument("it is not an object")
        return cls(root)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read ``file``; what ends in ``.json`` is JSON, everything else YAML. Raises BadDocument."""
        try:
            with file.open("rb") as opened:
                data = opened.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
            raise BadDocument(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
        return cls.parse(data, yaml=file.suffix.lower() != ".json")

    def resolve(self, node: Any, at: str) -> tuple[dict[str, Any], str]:
        """``node``, which stands at the JSON pointer ``at``, or what its ``$ref`` leads to, and where that is. Raises BadDocument."""
        for _ in range(32):
            if not isinstance(node, dict):
                raise BadDocument(f"{at or '/'}: is no object")
            reference = node.get("$ref")
            if not isinstance(reference, str):
                return node, at
            at = unquote(reference[1:])
            node = self.at(at)
        raise BadDocument(f"{at}: the references go in a circle")

    def at(self, pointer: str) -> Any:
        """What stands at a JSON pointer (RFC 6901). Raises BadDocument."""
        node: Any = self.root
        for part in pointer.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            try:
                node = node[int(name)] if isinstance(node, list) else node[name]
            except (KeyError, IndexError, ValueError, TypeError) as error:
                raise BadDocument(f"{pointer}: there is no such place in the document") from error
        return node


def pointer(*names: str | int) -> str:
    """The JSON pointer of ``names`` (RFC 6901 section 3)."""
    return "".join("/" + str(name).replace("~", "~0").replace("/", "~1") for name in names)


class _Conversion:
    """A copy of a document whose schemas are JSON Schema's own."""

    def __init__(self, old: bool) -> None:
        self._old = old
        self._nodes = 0

    def of(self, node: Any, depth: int = 0, values: bool = False) -> Any:
        if not isinstance(node, dict | list):
            return node
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise BadDocument("it is too large or too deep")
        if isinstance(node, list):
            return [self.of(one, depth + 1, values) for one in node]
        copy = {str(name): self.of(one, depth + 1, values or name in _VALUES) for name, one in node.items()}
        return copy if values else self._schema(copy)

    def _schema(self, node: dict[str, Any]) -> dict[str, Any]:
        if self._old and node.get("nullable") is True and isinstance(node.get("type"), str):
            node["type"] = [node["type"], "null"]
        required, properties = node.get("required"), node.get("properties")
        if isinstance(required, list) and isinstance(properties, dict):
            needed = [name for name in required if not _read_only(properties.get(str(name)))]
            if needed or not self._old:
                node["required"] = needed
            else:
                del node["required"]  # the fourth draft does not know an empty one
        return node


def _read_only(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("readOnly") is True


def _references(node: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for index, one in enumerate(node):
            yield from _references(one, f"{at}/{index}")
    elif isinstance(node, dict):
        for name, one in node.items():
            if name in ("$ref", "$dynamicRef") and isinstance(one, str):
                yield f"{at}/{name}", one
            elif name not in _VALUES:
                yield from _references(one, at + pointer(name))


def _read_yaml(data: bytes) -> Any:
    try:
        yaml: Any = import_module("yaml")
    except ImportError as error:
        raise BadDocument("YAML needs a library that is not installed: pip install 'scalelab[openapi]'; JSON does not") from error

    class Loader(yaml.SafeLoader):
        """YAML 1.2's core: dates are text, and so are yes, no, on and off."""

        yaml_implicit_resolvers: Mapping[str, Any] = {
            first: [
                (tag, re.compile(r"true|True|TRUE|false|False|FALSE") if tag.endswith(":bool") else pattern)
                for tag, pattern in resolvers
                if not tag.endswith((":timestamp", ":merge")) and not (tag.endswith(":bool") and first not in "tTfF")
            ]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    try:
        return yaml.load(data, Loader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
