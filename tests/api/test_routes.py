"""Klein's routing, and what the suite adds to it."""

from typing import Any

import pytest
from klein import Klein, Response
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from scalability.api.json import json_answer
from scalability.api.routes import routes
from scalability.errors import DependencyDown, Forbidden
from scalability.testing.asking import Asking


class Leaf(Resource):
    def render_GET(self, request: Any) -> bytes:  # noqa: N802 - Twisted's name
        return b"leaf"


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


def test_what_cannot_be_sent_is_broken_off_and_logged_now_or_later(logged_failures: Any) -> None:
    app = Klein()
    waiting: list[Deferred[bytes]] = []

    @app.route("/now")
    def now(request: IRequest) -> bytes:
        request.setHeader(b"content-length", b"many")
        return b"x"

    @app.route("/later")
    async def later(request: IRequest) -> bytes:
        waiting.append(Deferred())
        request.setHeader(b"content-length", b"many")
        return await waiting[-1]

    asking = Asking(app, Clock())
    first, second = asking.send("GET", "/now"), asking.send("GET", "/later")
    waiting.pop().callback(b"x")
    assert [exchange._transport.disconnected for exchange in (first, second)] == [True, True]
    assert len(logged_failures.flush(ValueError)) == 2


def test_whatever_else_klein_can_answer_with_it_still_can() -> None:
    app = Klein()

    @app.route("/text")
    def text(request: IRequest) -> str:
        return "tëxt"

    @app.route("/text/later")
    async def text_later(request: IRequest) -> str:
        return "tëxt"

    @app.route("/resource", branch=True)
    def resource(request: IRequest) -> Resource:
        root = Resource()
        root.putChild(b"child", Leaf())
        return root

    @app.route("/response")
    def response(request: IRequest) -> Any:
        return Response(201, {"X-Made": "yes"}, b"made")

    @app.route("/item/<int:n>")
    def item(request: Any, n: int) -> bytes:
        return json_answer(request, [app.urlFor(request, "item", {"n": n + 1}), [p.decode() for p in request.prepath]])

    @app.route("/itself")
    def itself(request: Any) -> Any:
        request.write(b"by ")
        request.write(b"itself")
        request.finish()
        return b""

    asking = Asking(app, Clock())
    assert asking.get("/text").text == asking.get("/text/later").text == "tëxt"
    assert asking.get("/resource/child").body == b"leaf"
    made = asking.get("/response")
    assert (made.status, made.headers["x-made"], made.body) == (201, "yes", b"made")
    assert asking.get("/item/1").json() == ["/item/2", ["item", "1"]]
    assert asking.get("/itself").body == b"by itself"


def test_an_error_handler_may_fail_and_the_next_one_answers(logged_failures: Any) -> None:
    app = Klein()

    @app.handle_errors(Forbidden)
    def broken(request: IRequest, failure: Any) -> bytes:
        raise ZeroDivisionError

    @app.route("/")
    async def index(request: IRequest) -> bytes:
        raise Forbidden

    answer = Asking(app, Clock()).get("/")
    assert (answer.status, answer.json()["error"]) == (500, "internal_error")
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


def test_a_handler_that_fails_after_its_client_left_is_logged(logged_failures: Any) -> None:
    app = Klein()

    @app.route("/")
    async def index(request: IRequest) -> bytes:
        try:
            return await Deferred()
        finally:
            raise ZeroDivisionError

    Asking(app, Clock()).send("GET", "/").leave()
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


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


def test_methods_are_case_sensitive() -> None:
    app = Klein()

    @app.route("/", methods=["GET"])
    def index(request: IRequest) -> bytes:
        return b"here"

    asking = Asking(app, Clock())
    refused = asking.send("get", "/").answer
    assert (refused.status, refused.json()["error"]) == (405, "method_not_allowed")
    assert refused.headers["allow"] == "GET, HEAD"
    assert asking.send("get", "/elsewhere").answer.status == 404
    assert asking.get("/").body == b"here"
