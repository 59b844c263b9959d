"""A document's operations, made ready: for every path and method its parameters and bodies with their checks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from scalability.gateway.openapi.document import BadDocument, Document, pointer
from scalability.gateway.openapi.parameters import STYLES, Parameter, Types
from scalability.gateway.openapi.schemas import SchemaCheck, Schemas
from scalability.gateway.openapi.templates import PathTree

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

_NOT_PARAMETERS: Final = frozenset(("accept", "content-type", "authorization"))
"""Fields that a document describes elsewhere (OpenAPI 3.1 section 4.8.12.2)."""


@dataclass(frozen=True, slots=True)
class Body:
    """What an operation takes: checks by media type in lower case, ``application/*`` and ``*/*`` among them. ``None``: anything."""

    required: bool
    types: Mapping[str, SchemaCheck | None]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    parameters: tuple[Parameter, ...]
    body: Body | None


Methods = Mapping[bytes, Operation]


def operations(document: Document) -> PathTree[Methods]:
    """Everything in ``paths``. Raises BadDocument, saying where it cannot be understood."""
    schemas = Schemas(document)
    tree: PathTree[Methods] = PathTree()
    paths = document.root.get("paths")
    if not isinstance(paths, dict):
        raise BadDocument("/paths: is missing")
    for template in paths:
        if template.startswith("x-"):
            continue
        at = pointer("paths", template)
        item, at = document.resolve(paths[template], at)
        methods = {
            method.upper().encode(): _operation(document, schemas, item, at, method)
            for method in METHODS
            if isinstance(item.get(method), dict)
        }
        try:
            tree.add(template, methods)
        except ValueError as error:
            raise BadDocument(f"/paths: {error}") from error
    return tree


def base_path(document: Document) -> str:
    """The path of the first of ``servers``, without a slash at its end: what stands before every path of the document."""
    servers = document.root.get("servers")
    url = servers[0].get("url") if isinstance(servers, list) and servers and isinstance(servers[0], dict) else None
    if not isinstance(url, str) or "{" in url:
        return ""
    path = urlsplit(url).path.rstrip("/")
    return path if path.startswith("/") else ""


def _operation(document: Document, schemas: Schemas, item: Mapping[str, Any], at: str, method: str) -> Operation:
    operation = item[method]
    there = at + pointer(method)
    found: dict[tuple[str, str], Parameter] = {}
    for one, where in (*_listed(item, at), *_listed(operation, there)):
        parameter = _parameter(document, schemas, *document.resolve(one, where))
        if parameter is not None:
            # an operation's own replaces that of its path
            found[parameter.where, parameter.name.lower() if parameter.where == "header" else parameter.name] = parameter
    body = operation.get("requestBody")
    return Operation(
        tuple(found.values()), None if body is None else _body(document, schemas, *document.resolve(body, there + "/requestBody"))
    )


def _listed(node: Mapping[str, Any], at: str) -> Iterator[tuple[Any, str]]:
    for index, one in enumerate(node.get("parameters", ())):
        yield one, at + pointer("parameters", index)


def _parameter(document: Document, schemas: Schemas, node: Mapping[str, Any], at: str) -> Parameter | None:
    name, where = node.get("name"), node.get("in")
    if not isinstance(name, str) or not isinstance(where, str) or where not in STYLES:
        raise BadDocument(f"{at}: needs a name, and a place among {', '.join(STYLES)}")
    if where == "header" and name.lower() in _NOT_PARAMETERS:
        return None
    style = node.get("style", STYLES[where][0])
    content = node.get("content")
    types = Types()
    if isinstance(content, dict) and content:
        (kind, *_) = content
        if not _is_json(kind):
            raise BadDocument(f"{at}: a parameter of the type {kind} is not supported; application/json is")
        schema_at = at + pointer("content", kind, "schema")
        schema = content[kind].get("schema")
    else:
        schema_at = at + "/schema"
        schema = node.get("schema")
        if style not in STYLES[where]:
            raise BadDocument(f"{at}: the style {style} is not supported in a {where}; {', '.join(STYLES[where])} may stand there")
        if isinstance(schema, dict):
            types = schemas.types(schema_at)
        if "object" in types.own and style != "deepObject":
            raise BadDocument(f"{at}: an object is supported in the style deepObject, or as content, only")
    check = schemas.check(schema_at) if schema is not None else _anything
    explode = node.get("explode", style == "form")
    return Parameter(name, where, where == "path" or node.get("required") is True, style, bool(explode), types, bool(content), check)


def _body(document: Document, schemas: Schemas, node: Mapping[str, Any], at: str) -> Body:
    content = node.get("content")
    if not isinstance(content, dict):
        raise BadDocument(f"{at}/content: is missing")
    types: dict[str, SchemaCheck | None] = {}
    for kind, media in content.items():
        name = kind.partition(";")[0].strip().lower()
        has_schema = isinstance(media, dict) and media.get("schema") is not None
        types[name] = schemas.check(at + pointer("content", kind, "schema")) if has_schema and _is_json(name) else None
    return Body(node.get("required") is True, types)


def _is_json(kind: str) -> bool:
    name = kind.partition(";")[0].strip().lower()
    return name == "application/json" or name.endswith("+json")


def _anything(value: Any) -> list[tuple[str, str]]:
    return []
