"""Routes of the configuration in the gateway's own description."""

import json
from pathlib import Path

import jsonschema_rs
import msgspec
from klein import Klein

from scalability.gateway.access.description import schemes
from scalability.gateway.openapi.own import api_document
from scalability.gateway.routing.config import RouteOptions
from scalability.gateway.routing.description import forwarded
from scalability.testing.api_document import SHOP

META = json.loads((Path(__file__).parents[1] / "openapi" / "openapi-3.1-schema.json").read_text())


def test_each_kind_of_route_is_told_as_far_as_it_is_known(tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(SHOP))
    tables = [
        {"prefix": "/plain", "url": "http://127.0.0.1:1"},
        {"prefix": "/v1", "url": "http://127.0.0.1:1", "validate": {"file": str(file)}},
        {"prefix": "/shop", "url": "http://127.0.0.1:1", "validate": {"file": str(file), "base": "/shop/"}},
        {"prefix": "/open", "url": "http://127.0.0.1:1", "validate": {"file": str(file), "unknown": "pass"}},
        {"prefix": "/pages", "compose": {"path": "/pages/{id}", "parts": [{"name": "user", "target": "/users/{id}"}]}},
    ]
    routes = [forwarded(msgspec.convert(table, RouteOptions), schemes(tokens=True, key_field=None)) for table in tables]
    document = api_document(Klein(), routes, title="A", version="1")
    assert sorted(document["paths"]) == [
        "/open", "/open/{rest}", "/pages/{id}", "/plain", "/plain/{rest}",
        "/shop/orders", "/shop/orders/{id}", "/v1/orders", "/v1/orders/{id}",
    ]  # fmt: skip
    assert sorted(document["paths"]["/v1/orders/{id}"]) == ["delete", "get", "parameters"]
    assert document["paths"]["/pages/{id}"]["get"]["summary"] == "Composed of user (required)."
    assert document["paths"]["/pages/{id}"]["get"]["security"] == [{"token": []}]
    validator = jsonschema_rs.Draft202012Validator(META, offline=True)
    assert [error.message for error in validator.iter_errors(msgspec.to_builtins(document))] == []
