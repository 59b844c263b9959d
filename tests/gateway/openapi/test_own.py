"""The gateway's own description: valid by OpenAPI's own schema, complete, and true of every route that it names."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from klein import Klein

from scalability.gateway.access.description import Schemes, schemes
from scalability.gateway.openapi.described import Answered, described, description_of
from scalability.gateway.openapi.document import Document
from scalability.gateway.openapi.operations import operations
from scalability.gateway.openapi.own import Forwarded, api_document, documented
from scalability.testing.services import answer
from tests.gateway.test_http_api import Gateway

META = json.loads(Path(__file__).with_name("openapi-3.1-schema.json").read_text())
"""https://spec.openapis.org/oas/3.1/schema, of the OpenAPI Initiative, under the Apache License 2.0."""


class Thing(msgspec.Struct):
    """A thing."""

    name: str
    parent: "Thing | None" = None


def app() -> Klein:
    found = Klein()

    @found.route("/things/<int:number>/<name>", methods=["GET", "PUT"])
    @described(
        "A thing.",
        text="More of it.",
        body=Thing,
        answers={200: Answered("It.", Thing), 404: Answered("")},
        secured=True,
        parameters={"number": "Which."},
        examples={"number": "7"},
    )
    def thing(request: object, number: int, name: str) -> bytes:
        return b""

    @found.route("/plain")
    def plain(request: object) -> bytes:
        return b""

    return found


BOTH = schemes(tokens=True, key_field="X-API-Key")

ROUTES = [
    Forwarded("/shop", "To the shop.", BOTH),
    Forwarded("/", "All the rest."),
    Forwarded(
        "/pages", "Pages.", operations={"/pages/{id}": {"get": {"summary": "A page.", "responses": {"200": {"description": "It."}}}}}
    ),
]


def mistakes(document: Any) -> list[str]:
    validator = jsonschema_rs.Draft202012Validator(META, offline=True)
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(msgspec.to_builtins(document))]


@pytest.mark.parametrize("security", [{}, BOTH, schemes(tokens=True, key_field=None)])
def test_the_document_is_valid_by_the_schema_of_openapi(security: Schemes) -> None:
    assert mistakes(api_document(app(), ROUTES, title="A", version="1", security=security)) == []
    assert mistakes({"openapi": "3.1.0"})


def test_it_tells_what_the_tables_of_the_routes_have() -> None:
    paths = api_document(app(), ROUTES, title="A", version="1", security=schemes(tokens=True, key_field=None))["paths"]
    assert sorted(paths) == ["/pages/{id}", "/plain", "/shop", "/shop/{rest}", "/things/{number}/{name}", "/{rest}"]
    thing = paths["/things/{number}/{name}"]
    assert [(one["name"], one["schema"]["type"], one.get("description")) for one in thing["parameters"]] == [
        ("number", "integer", "Which."),
        ("name", "string", None),
    ]
    assert sorted(thing) == ["get", "parameters", "put"]
    assert thing["get"]["security"] == [{"token": []}]
    assert thing["get"]["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Thing"}
    assert thing["get"]["responses"]["404"]["description"] == "Not Found"
    assert paths["/plain"]["get"]["summary"] == "plain"
    assert paths["/shop"]["post"]["security"] == [{"token": [], "key_X-API-Key": []}]


def test_without_tokens_nothing_asks_for_one() -> None:
    document = api_document(app(), ROUTES[1:], title="A", version="1")
    assert "securitySchemes" not in document["components"]


def test_another_gateway_could_check_requests_by_it() -> None:
    tree = operations(Document(msgspec.to_builtins(api_document(app(), ROUTES, title="A", version="1"))))
    assert tree.match(b"/things/7/x") is not None


def test_every_route_of_the_gateway_describes_itself() -> None:
    routes = Gateway().app.endpoints
    assert {name for name, endpoint in routes.items() if description_of(endpoint) is None} == set()
    assert len(routes) >= 8


def test_a_gateway_may_keep_its_description_to_itself() -> None:
    gateway = Gateway(docs=False)
    assert [gateway.http.get(path).status for path in ("/openapi.json", "/docs", "/health")] == [404, 404, 200]


def test_every_documented_path_is_answered_with_a_status_and_a_body_that_are_documented() -> None:
    gateway = Gateway()
    document = gateway.http.get("/openapi.json").json()
    assert mistakes(document) == []
    gateway.database.always = gateway.microservice.always = lambda asked: answer(200, {"message": "x"})
    none = {"error": "not_found", "message": "there is no such task"}
    gateway.worker.always = lambda asked: answer(202, {"task_id": "t"}) if asked.method == b"POST" else answer(404, none)
    registry = jsonschema_rs.Registry([("urn:own", document)], draft=jsonschema_rs.Draft202012)
    asked = 0
    for method, path, operation in documented(document):
        body = {"task": "report"} if "requestBody" in operation else None
        got = gateway.http.ask(method, path, json=body)
        told = operation["responses"].get(str(got.status))
        assert told is not None, (method, path, got.status)
        schema = told.get("content", {}).get("application/json", {}).get("schema")
        if schema is not None:
            reference = {"$ref": "urn:own" + schema["$ref"]}
            validator = jsonschema_rs.Draft202012Validator(reference, registry=registry, offline=True)
            assert [error.message for error in validator.iter_errors(got.json())] == [], (method, path)
        asked += 1
    assert asked == 8
