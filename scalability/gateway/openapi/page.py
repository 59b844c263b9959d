"""An OpenAPI document as one page of HTML that loads nothing, needs no script, and works under a policy that lets neither in."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

STYLE: Final = Path(__file__).with_name("page.css").read_text()

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The Content-Security-Policy of every page."""

_EVERY: Final = 7
"""So many methods, and more, are called any."""
_METHODS: Final = ("get", "head", "post", "put", "patch", "delete", "options", "trace")
_SAID_APART: Final = frozenset(
    ("type", "title", "description", "properties", "required", "items", "$ref", "format", "anyOf", "oneOf", "allOf")
)


def page(document: Mapping[str, Any]) -> bytes:
    """The page for ``document``, whose every word is shown as text."""
    info = document["info"]
    operations = [(path, methods, item) for path, item in document["paths"].items() for methods in _alike(item)]
    parts = [
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        f'<title>{escape(info["title"])}</title>\n<link rel="icon" href="data:,">\n<style>{STYLE}</style>\n',
        f"<header><h1>{escape(info['title'])}</h1><p>version {escape(info['version'])}, {len(operations)} operations; "
        'for programs: <a href="openapi.json">openapi.json</a></p></header>\n<nav aria-label="Operations"><ul>\n',
    ]
    parts += (f'<li><a href="#{_anchor(methods, path)}">{_badge(methods)} {_path(path)}</a></li>\n' for path, methods, _ in operations)
    parts.append("</ul></nav>\n<main>\n")
    for path, methods, item in operations:
        parts += _operation(path, methods, item)
    schemas = document.get("components", {}).get("schemas", {})
    if schemas:
        parts.append("<h2>Objects</h2>\n")
    for name, schema in schemas.items():
        parts += (f'<section id="{_schema_anchor(name)}"><h3>{escape(name)}</h3>\n', *_described(schema), *_schema(schema), "</section>\n")
    parts.append("</main>\n")
    return "".join(parts).encode()


def _alike(item: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The methods of a path; all together where there are all of them, and of all is told the same."""
    methods = tuple(method for method in _METHODS if method in item)
    if len(methods) >= _EVERY and all(item[method] == item[methods[0]] for method in methods):
        return [methods]
    return [(method,) for method in methods]


def _badge(methods: tuple[str, ...]) -> str:
    method = methods[0] if len(methods) == 1 else "any"
    return f'<span class="method {method}">{method}</span>'


def _operation(path: str, methods: tuple[str, ...], item: Mapping[str, Any]) -> Iterator[str]:
    operation = item[methods[0]]
    yield f'<section id="{_anchor(methods, path)}">\n<h2>{_badge(methods)} {_path(path)}</h2>\n'
    if len(methods) > 1:
        yield f"<p>{', '.join(methods).upper()}</p>\n"
    if "summary" in operation:
        yield f'<p class="summary">{escape(operation["summary"])}</p>\n'
    yield from _described(operation)
    if operation.get("security"):
        names = ", ".join(name for one in operation["security"] for name in one)
        yield f'<p class="needs">Needs: {escape(names)}</p>\n'
    parameters = [*item.get("parameters", ()), *operation.get("parameters", ())]
    if parameters:
        yield '<h4>Parameters</h4>\n<div class="scroll"><table><thead><tr><th>name<th>in<th>type<th>meaning</tr></thead><tbody>\n'
        for one in parameters:
            needed = ' <small class="required">required</small>' if one.get("required") else ""
            yield f"<tr><td><code>{escape(str(one.get('name', '')))}</code>{needed}<td>{escape(str(one.get('in', '')))}"
            yield f"<td>{_type(one.get('schema', {}))}<td>{escape(one.get('description', ''))}</tr>\n"
        yield "</tbody></table></div>\n"
    body = operation.get("requestBody")
    if body:
        yield "<h4>Body</h4>\n"
        yield from _content(body.get("content", {}))
    yield '<h4>Answers</h4>\n<div class="scroll"><table><thead><tr><th>status<th>meaning<th>body</tr></thead><tbody>\n'
    for status, answer in operation.get("responses", {}).items():
        bodies = "<br>".join(
            f"<code>{escape(kind)}</code>{': ' + _type(media['schema']) if 'schema' in media else ''}"
            for kind, media in answer.get("content", {}).items()
        )
        yield f'<tr><td class="status">{escape(str(status))}<td>{escape(answer.get("description", ""))}<td>{bodies}</tr>\n'
    yield "</tbody></table></div>\n</section>\n"


def _content(content: Mapping[str, Any]) -> Iterator[str]:
    for kind, media in content.items():
        yield f"<p><code>{escape(kind)}</code>{': ' + _type(media['schema']) if 'schema' in media else ''}</p>\n"
        if "$ref" not in media.get("schema", {}):
            yield from _schema(media.get("schema", {}))


def _described(node: Mapping[str, Any]) -> Iterator[str]:
    text = node.get("description")
    if text:
        yield f"<p>{escape(text)}</p>\n"


def _schema(schema: Mapping[str, Any]) -> Iterator[str]:
    """The members of an object as a table; nothing for what is none."""
    properties = schema.get("properties")
    if not properties:
        return
    required = schema.get("required", ())
    yield '<div class="scroll"><table><thead><tr><th>member<th>type<th>meaning</tr></thead><tbody>\n'
    for name, one in properties.items():
        needed = ' <small class="required">required</small>' if name in required else ""
        yield f"<tr><td><code>{escape(name)}</code>{needed}<td>{_type(one)}<td>{escape(one.get('description', ''))}</tr>\n"
    yield "</tbody></table></div>\n"


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return f'<a href="#{_schema_anchor(name)}">{escape(name)}</a>'
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return (" and " if union == "allOf" else " or ").join(map(_type, schema[union]))
    stated = schema.get("type", "anything")
    words = stated if isinstance(stated, str) else " or ".join(stated)
    said = escape(words)
    if words == "array" and isinstance(schema.get("items"), dict):
        said = f"array of {_type(schema['items'])}"
    if "format" in schema:
        said += f" ({escape(str(schema['format']))})"
    limits = {name: value for name, value in schema.items() if name not in _SAID_APART}
    return said + "".join(f" <small>{escape(name)} {escape(json.dumps(value))}</small>" for name, value in limits.items())


def _path(path: str) -> str:
    return f'<span class="path">{escape(path).replace("{", "<var>{").replace("}", "}</var>")}</span>'


def _anchor(methods: tuple[str, ...], path: str) -> str:
    return escape(quote(f"{methods[0]}-{path}", safe="-"))


def _schema_anchor(name: str) -> str:
    return escape(quote(f"schema-{name}", safe="-"))
