"""Klein's routing, and what the suite adds to it."""

from typing import Any

import pytest
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from scalability.api.json import json_answer
from scalability.api.routes import routes
from scalability.errors import DependencyDown, Forbidden
from scalability.testing.asking import Asking


class Shop:
    """An app bound to an instance."""

    app = Klein()

    def __init__(self, name: str) -> None:
        self.name = name

    @app.route("/shop/<path:item>", methods=["GET"])
    def item(self, request: IRequest, item: str) -> bytes:
        return json_answer(request, [self.name, item])

    @app.route("/closed")
    def closed(self, request: IRequest) -> bytes:
        raise Forbidden("closed today")

    @app.handle_errors(Forbidden)
    def forbidden(self, request: IRequest, failure: Any) -> bytes:
        request.setResponseCode(403)
        return f"{self.name} says: {failure.value}".encode()


def test_an_app_bound_to_an_instance_is_mounted_through_its_resource() -> None:
    asking = Asking(Shop("a").app.resource(), Clock())
    assert asking.get("/shop/bread").json() == ["a", "bread"]
    assert asking.get("/nowhere").json()["error"] == "not_found"


def test_an_apps_own_error_handlers_come_first() -> None:
    answer = Asking(Shop("b").app.resource(), Clock()).get("/closed")
    assert (answer.status, answer.body) == (403, b"b says: closed today")


@pytest.mark.parametrize("key", ["a//b", "a/b", "a/", "a///"])
def test_slashes_belong_to_the_path_and_are_not_merged(key: str) -> None:
    assert Asking(Shop("c").app.resource(), Clock()).get(f"/shop/{key}").json() == ["c", key]


def test_another_resource_is_left_as_it_is() -> None:
    resource = Resource()
    assert routes(resource) is resource


def test_a_client_that_leaves_cancels_the_handler_and_nothing_is_logged() -> None:
    app = Klein()
    cancelled: list[object] = []

    @app.route("/plain")
    def plain(request: IRequest) -> Any:
        return Deferred(cancelled.append)

    @app.route("/converting")
    async def converting(request: IRequest) -> bytes:
        try:
            return await Deferred(cancelled.append)
        except Exception as error:
            raise DependencyDown("the cache did not answer") from error

    @app.route("/stubborn")
    async def stubborn(request: IRequest) -> bytes:
        try:
            return await Deferred(cancelled.append)
        except Exception:
            return json_answer(request, "whatever")

    asking = Asking(app, Clock())
    for n, path in enumerate(("/plain", "/converting", "/stubborn"), 1):
        asking.send("GET", path).leave()
        assert len(cancelled) == n
