"""A document's operations, and what in a document is refused."""

import copy
from typing import Any

import pytest

from scalability.gateway.openapi.document import BadDocument, Document
from scalability.gateway.openapi.operations import base_path, operations
from scalability.testing.api_document import SHOP


def shop(**changes: Any) -> Document:
    root = copy.deepcopy(SHOP)
    root.update(changes)
    return Document(root)


def get(*parameters: Any) -> Document:
    return shop(paths={"/a": {"get": {"parameters": list(parameters)}}})


def test_every_operation_is_found_with_its_parameters() -> None:
    match = operations(shop()).match(b"/orders")
    assert match is not None
    assert sorted(match.found) == [b"GET", b"POST"]
    assert [(one.name, one.where, one.style, one.explode) for one in match.found[b"GET"].parameters] == [
        ("limit", "query", "form", True),
        ("state", "query", "form", True),
        ("X-Tenant", "header", "simple", False),
    ]
    body = match.found[b"POST"].body
    assert body is not None
    assert body.required
    assert [(kind, check is not None) for kind, check in body.types.items()] == [("application/json", True), ("text/csv", False)]


def test_an_operations_parameter_replaces_that_of_its_path() -> None:
    wide = {"name": "n", "in": "query", "schema": {"type": "string"}}
    narrow = {"name": "n", "in": "query", "required": True, "schema": {"type": "integer"}}
    match = operations(shop(paths={"/a": {"parameters": [wide], "get": {"parameters": [narrow]}, "x-y": 1}, "x-z": 1})).match(b"/a")
    assert match is not None
    (parameter,) = match.found[b"GET"].parameters
    assert parameter.required


def test_fields_that_are_described_elsewhere_are_no_parameters() -> None:
    match = operations(get({"name": "Content-Type", "in": "header", "schema": {"type": "integer"}})).match(b"/a")
    assert match is not None
    assert match.found[b"GET"].parameters == ()


@pytest.mark.parametrize(
    ("parameter", "why"),
    [
        ({"name": "n", "in": "body"}, "a place among"),
        ({"in": "query"}, "needs a name"),
        ({"name": "n", "in": "path", "style": "matrix", "schema": {}}, "style matrix is not supported"),
        ({"name": "n", "in": "query", "schema": {"type": "object"}}, "deepObject"),
        ({"name": "n", "in": "query", "content": {"application/xml": {}}}, "application/json is"),
        ({"$ref": "#/components/parameters/None"}, "no such place"),
        ({"name": "n", "in": "query", "schema": {"type": "nothing"}}, "/paths/~1a/get/parameters/0/schema"),
        (5, "is no object"),
    ],
)
def test_what_is_not_supported_is_refused_with_its_place(parameter: Any, why: str) -> None:
    with pytest.raises(BadDocument, match=why):
        operations(get(parameter))


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        (None, "/paths: is missing"),
        ({"a": {}}, "does not begin with /"),
        ({"/a": {"post": {"requestBody": {}}}}, "content: is missing"),
        ({"/{a}": {}, "/{b}": {}}, "same shape"),
    ],
)
def test_paths_that_cannot_be_used_are_refused(paths: Any, why: str) -> None:
    with pytest.raises(BadDocument, match=why):
        operations(shop(paths=paths))


@pytest.mark.parametrize(
    ("servers", "base"),
    [
        ([{"url": "https://a.example/v1/"}, {"url": "/v2"}], "/v1"),
        ([{"url": "/v2"}], "/v2"),
        ([{"url": "https://{region}.example/v1"}], ""),
        ([{"url": "https://a.example"}], ""),
        ([{}], ""),
        ([], ""),
        (None, ""),
    ],
)
def test_paths_begin_behind_that_of_the_first_server(servers: Any, base: str) -> None:
    assert base_path(shop(servers=servers)) == base
