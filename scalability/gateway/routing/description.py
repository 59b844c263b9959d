"""What the gateway's own description tells of a route of the configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalability.gateway.access.description import Schemes
from scalability.gateway.compose.config import ComposeOptions
from scalability.gateway.compose.patterns import PathPattern
from scalability.gateway.openapi.config import ValidateOptions
from scalability.gateway.openapi.document import Document, pointer
from scalability.gateway.openapi.operations import METHODS, base_path
from scalability.gateway.openapi.own import NOTHING, Forwarded
from scalability.gateway.openapi.templates import names_in
from scalability.gateway.routing.config import RouteOptions

_ANSWERS = {"default": {"description": "What the server behind the route answers."}}


def forwarded(route: RouteOptions, security: Schemes = NOTHING) -> Forwarded:
    """A composed route is its path; one that checks requests has the paths of its document; any other, whatever stands below its prefix."""
    if route.compose is not None:
        return Forwarded(route.path, "", security, _composed(route.compose))
    if route.validate is not None and route.validate.unknown == "refuse":
        return Forwarded(route.path, "", security, _checked(route.validate))
    return Forwarded(route.path, f"What stands below {route.path} is answered by other servers.", security)


def _composed(options: ComposeOptions) -> dict[str, Any]:
    parts = [f"{part.name} ({'required' if part.must_succeed else 'may be missing'})" for part in options.parts]
    operation = {
        "summary": f"Composed of {', '.join(parts)}.",
        "responses": {
            "200": {
                "description": "All parts in one object; X-Scalelab-Completed says whether none is missing.",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            "default": {"description": "A required part failed; the member part names it."},
        },
    }
    return {options.path: {**_parameters(PathPattern.parse(options.path).parameters), "get": operation}}


def _checked(options: ValidateOptions) -> dict[str, Any]:
    document = Document.read(Path(options.file))
    base = (base_path(document) if options.base is None else options.base).rstrip("/")
    found: dict[str, Any] = {}
    for template, item in document.root["paths"].items():
        if template.startswith("/"):
            item, _ = document.resolve(item, pointer("paths", template))
            found[base + template] = {
                **_parameters(names_in(template)),
                **{method: _operation(item[method]) for method in METHODS if isinstance(item.get(method), dict)},
            }
    return found


def _operation(told: Mapping[str, Any]) -> dict[str, Any]:
    """What can be told without the document's schemas."""
    words = {name: str(told[name]) for name in ("summary", "description") if name in told}
    return {"summary": "", **words, "responses": _ANSWERS}


def _parameters(names: tuple[str, ...]) -> dict[str, Any]:
    if not names:
        return {}
    return {"parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]}
