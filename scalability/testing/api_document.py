"""A small API's description, for tests of what reads one."""

from typing import Any

SHOP: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "A shop", "version": "1"},
    "servers": [{"url": "https://shop.example/v1/"}],
    "paths": {
        "/orders": {
            "get": {
                "parameters": [
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100}},
                    {"name": "state", "in": "query", "schema": {"type": "array", "items": {"enum": ["open", "done"]}}},
                    {"$ref": "#/components/parameters/Tenant"},
                ],
                "responses": {"200": {"description": "All of them."}},
            },
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}, "text/csv": {}},
                },
                "responses": {"201": {"description": "It is taken."}},
            },
        },
        "/orders/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
            "get": {"responses": {"200": {"description": "One."}}},
            "delete": {"responses": {"204": {"description": "It is gone."}}},
        },
    },
    "components": {
        "parameters": {"Tenant": {"name": "X-Tenant", "in": "header", "schema": {"type": "string", "pattern": "^[a-z]+$"}}},
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["items"],
                "additionalProperties": False,
                "properties": {
                    "items": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Item"}},
                    "note": {"type": ["string", "null"], "maxLength": 20, "pattern": "^(a+)+$"},
                    "before": {"$ref": "#/components/schemas/Order"},
                },
            },
            "Item": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}, "count": {"type": "integer"}}},
        },
    },
}
"""Recursive schemas, arrays in queries, a field, a hostile pattern, two media types."""
