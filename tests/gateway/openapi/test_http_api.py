"""Both routes: made once, revalidated, under a policy."""

from typing import Any

from klein import Klein
from twisted.internet.task import Clock

from scalability.gateway.openapi.http_api import describe
from scalability.gateway.openapi.own import api_document
from scalability.testing.asking import Asking


def test_the_document_and_the_page_are_made_once_and_revalidated() -> None:
    app = Klein()
    made: list[Any] = []

    def document() -> Any:
        made.append(1)
        return api_document(app, title="A <b>gateway</b>", version="1")

    describe(app, document)
    asking = Asking(app, Clock())
    assert made == []
    for path, kind in (("/openapi.json", "application/json"), ("/docs", "text/html; charset=utf-8")):
        first = asking.get(path)
        assert (first.status, first.headers["content-type"], first.headers["cache-control"]) == (200, kind, "no-cache")
        again = asking.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert made == [1]
    assert sorted(asking.get("/openapi.json").json()["paths"]) == ["/docs", "/openapi.json"]


def test_the_page_comes_with_a_policy_that_lets_no_script_in() -> None:
    app = Klein()
    describe(app, lambda: api_document(app, title="A", version="1"))
    fields = Asking(app, Clock()).get("/docs").headers
    policy = dict(rule.split(" ", 1) for rule in fields["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert "script-src" not in policy
    assert "unsafe" not in fields["content-security-policy"]
    assert fields["x-content-type-options"] == "nosniff"
