"""Checks of values: mistakes with their place, bounded, in linear time, without the network."""

import json
import sys
from typing import Any

import pytest

from scalability.gateway.openapi.document import BadDocument, Document
from scalability.gateway.openapi.parameters import Types
from scalability.gateway.openapi.schemas import MAX_PROBLEMS, Schemas
from scalability.testing.api_document import SHOP

ORDER = "/components/schemas/Order"


def of(schema: Any, version: str = "3.1.0", **more: Any) -> Schemas:
    root = {"openapi": version, "components": {"schemas": {"A": schema, **more}}}
    return Schemas(Document.parse(json.dumps(root).encode(), yaml=False))


A = "/components/schemas/A"


def test_a_mistake_is_told_with_its_place_and_without_the_value() -> None:
    check = Schemas(Document(SHOP)).check(ORDER)
    assert check({"items": [{"sku": "x"}]}) == []
    assert check({"items": [{"sku": "x"}, {"sku": 5}]}) == [("/items/1/sku", 'the value is not of type "string"')]
    assert check({"before": {"before": {"items": []}}}) == [
        ("/before/before/items", "the value has less than 1 item"),
        ("/before", '"items" is a required property'),
        ("", '"items" is a required property'),
    ]


def test_names_in_pointers_are_escaped() -> None:
    check = of({"properties": {"a/b~c": {"type": "null"}}}).check(A)
    assert check({"a/b~c": 1})[0][0] == "/a~1b~0c"


def test_only_so_many_mistakes_are_told() -> None:
    assert len(of({"items": {"type": "null"}}).check(A)([1] * 1000)) == MAX_PROBLEMS


def test_hostile_patterns_cost_the_length_of_the_text() -> None:
    check = Schemas(Document(SHOP)).check(ORDER)
    found = check({"items": [{"sku": "x"}], "note": "a" * 200_000 + "b"})
    assert {pointer for pointer, _ in found} == {"/note"}
    assert all(len(message) <= 300 for _, message in found)


def test_patterns_that_need_another_engine_are_refused_at_the_start() -> None:
    with pytest.raises(BadDocument, match="regex"):
        of({"pattern": "(?=a)b"}).check(A)


def test_formats_are_checked() -> None:
    check = of({"format": "date"}).check(A)
    assert check("2026-01-31") == []
    assert check("2026-02-31")


def test_the_third_versions_schemas_are_understood() -> None:
    check = of({"type": "integer", "nullable": True, "minimum": 3, "exclusiveMinimum": True}, "3.0.3").check(A)
    assert check(None) == []
    assert check(4) == []
    assert check(3)


@pytest.mark.parametrize("schema", [{"type": "nothing"}, {"$ref": "#/components/schemas/Missing"}, {"minimum": "x"}])
def test_what_is_no_schema_is_refused_at_the_start(schema: Any) -> None:
    with pytest.raises(BadDocument):
        of(schema).check(A)


@pytest.mark.parametrize("value", ["\ud800", 10**4000, float("inf")])
def test_what_cannot_be_checked_is_a_mistake_or_valid_but_no_error_of_ours(value: Any) -> None:
    of({"type": "object"}).check(A)({"a": value})
    assert of({"properties": {"a": {"type": "boolean"}}}).check(A)({"a": value})


def test_types_are_found_through_references_and_unions() -> None:
    schemas = of(
        {"anyOf": [{"$ref": "#/components/schemas/B"}, {"type": ["null", "string"]}], "items": {"$ref": "#/components/schemas/B"}},
        B={"type": "integer", "properties": {"x": {"oneOf": [{"type": "boolean"}]}}},
    )
    assert schemas.types(A) == Types(frozenset(["integer", "null", "string"]), frozenset(["integer"]), {})
    assert schemas.types("/components/schemas/B").properties == {"x": frozenset(["boolean"])}


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    with pytest.raises(BadDocument, match=r"scalelab\[openapi\]"):
        of({})
