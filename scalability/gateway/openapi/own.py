"""The gateway's own API as an OpenAPI 3.1 document, made from the tables that make its routes: Klein's, and the proxied ones."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from klein import Klein

from scalability.gateway.access.description import Schemes
from scalability.gateway.openapi.described import Answered, Description, description_of
from scalability.http1.answer import REASONS

VERSION: Final = "3.1.0"
NOTHING: Final[Schemes] = {}

_ARGUMENT: Final = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>")
_CONVERTERS: Final = {"int": {"type": "integer"}, "float": {"type": "number"}, "uuid": {"type": "string", "format": "uuid"}}
_REFERENCE: Final = "#/components/schemas/{name}"
_FORWARDED: Final = ("get", "head", "post", "put", "patch", "delete", "options")


class Error(msgspec.Struct):
    """Every error: a fixed word and one sentence."""

    error: str
    message: str


@dataclass(frozen=True)
class Forwarded:
    """A route of the configuration. ``operations`` (OpenAPI's, by path and method) where it is known what is asked for below ``prefix``."""

    prefix: str
    summary: str
    security: Schemes = field(default_factory=dict)
    operations: Mapping[str, Mapping[str, Any]] | None = None


def api_document(
    app: Klein, forwarded: Sequence[Forwarded] = (), *, title: str, version: str, security: Schemes = NOTHING
) -> dict[str, Any]:
    """The document. ``security``: what routes in code ask for that say so."""
    described = [(rule, _description(app, rule.endpoint)) for rule in app.url_map.iter_rules()]
    bodies = [Error, *(body for _, one in described for body in _bodies(one))]
    schemas, components = msgspec.json.schema_components(bodies, ref_template=_REFERENCE)
    schema_of = dict(zip(map(id, bodies), schemas, strict=True))
    paths: dict[str, Any] = {}
    for rule, description in sorted(described, key=lambda one: one[0].rule):
        path = _ARGUMENT.sub(lambda match: "{" + match[2] + "}", rule.rule)
        item = paths.setdefault(path, {})
        parameters = list(_parameters(rule.rule, description))
        if parameters:
            item["parameters"] = parameters
        for method in sorted(rule.methods or ("GET",)):
            if method not in ("HEAD", "OPTIONS"):
                item[method.lower()] = _operation(description, schema_of, security)
    for route in sorted(forwarded, key=lambda one: one.prefix):
        for path, item in _forwarded(route).items():
            paths.setdefault(path, item)
    document: dict[str, Any] = {
        "openapi": VERSION,
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"schemas": components},
    }
    known = {name: scheme for one in (security, *(route.security for route in forwarded)) for name, scheme in one.items()}
    if known:
        document["components"]["securitySchemes"] = known
    return document


def _description(app: Klein, endpoint: Any) -> Description:
    route = app.endpoints.get(endpoint)
    return description_of(route) or Description(str(endpoint))


def _bodies(description: Description) -> Iterator[Any]:
    if description.body is not None:
        yield description.body
    for answer in description.answers.values():
        if answer.body is not None:
            yield answer.body


def _operation(description: Description, schema_of: Mapping[int, Any], security: Schemes) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": description.summary}
    if description.text:
        operation["description"] = description.text
    if description.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema_of[id(description.body)]}}}
    answers = description.answers or {200: Answered("The answer.")}
    operation["responses"] = {str(status): _answer(status, one, schema_of) for status, one in sorted(answers.items())}
    operation["responses"]["default"] = {
        "description": "An error.",
        "content": {"application/json": {"schema": schema_of[id(Error)]}},
    }
    if description.secured and security:
        operation["security"] = _needed(security)
    return operation


def _needed(security: Schemes) -> list[dict[str, list[str]]]:
    return [{name: [] for name in security}]


def _answer(status: int, answer: Answered, schema_of: Mapping[int, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"description": answer.meaning or REASONS.get(status, b"").decode()}
    if answer.body is not None:
        told["content"] = {"application/json": {"schema": schema_of[id(answer.body)]}}
    for kind in answer.types:
        told.setdefault("content", {})[kind] = {}
    return told


def _parameters(rule: str, description: Description) -> Iterator[dict[str, Any]]:
    for kind, name in _ARGUMENT.findall(rule):
        told: dict[str, Any] = {"name": name, "in": "path", "required": True, "schema": _CONVERTERS.get(kind, {"type": "string"})}
        if name in description.parameters:
            told["description"] = description.parameters[name]
        if name in description.examples:
            told["example"] = description.examples[name]
        yield told


def _forwarded(route: Forwarded) -> dict[str, Any]:
    """A route's paths: its own operations, or the prefix and whatever stands below it, which OpenAPI has no words for but a parameter."""
    security: dict[str, Any] = {"security": _needed(route.security)} if route.security else {}
    if route.operations is not None:
        return {
            path: {name: {**one, **security} if name in (*_FORWARDED, "trace") else one for name, one in item.items()}
            for path, item in route.operations.items()
        }
    prefix = route.prefix.rstrip("/")
    answers = {"default": {"description": "What the server behind the route answers."}}
    every: dict[str, Any] = {method: {"summary": route.summary, "responses": answers, **security} for method in _FORWARDED}
    rest = {
        "name": "rest",
        "in": "path",
        "required": True,
        "description": "The rest of the path; it may have further slashes.",
        "schema": {"type": "string"},
        "example": "",
    }
    below = {f"{prefix}/{{rest}}": {"parameters": [rest], **every}}
    return {prefix: every, **below} if prefix else below


def documented(document: Mapping[str, Any]) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
    """Each operation: method, path with the examples of its parameters put in, and what is told of it."""
    for path, item in document["paths"].items():
        for parameter in item.get("parameters", ()):
            path = path.replace("{" + parameter["name"] + "}", parameter.get("example") or "x")
        for method, operation in item.items():
            if method != "parameters":
                yield method.upper(), path, operation
