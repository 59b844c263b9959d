"""What OpenAPI calls the credentials that a route asks for. PURE."""

import re
from collections.abc import Mapping
from typing import Any, Final

TOKEN: Final[Mapping[str, Any]] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}

_NOT_A_NAME: Final = re.compile(r"[^A-Za-z0-9._-]")

Schemes = Mapping[str, Mapping[str, Any]]
"""Security schemes by name, all of which are needed; empty: nobody is asked who he is."""


def schemes(*, tokens: bool, key_field: str | None) -> Schemes:
    """Of a route that asks for ``tokens``, for an API key in the field ``key_field``, for both, or for nothing."""
    found: dict[str, Mapping[str, Any]] = {}
    if tokens:
        found["token"] = TOKEN
    if key_field is not None:
        found["key_" + _NOT_A_NAME.sub("_", key_field)] = {"type": "apiKey", "in": "header", "name": key_field}
    return found
