"""Whatever goes wrong in a route or before it is a JSON answer without a traceback."""

from typing import Any

import pytest
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.iweb import IRequest
from werkzeug.exceptions import BadRequest, ImATeapot

from scalability.api.failures import json_errors
from scalability.errors import BrokenAnswer, DependencyDown, ScalelabError
from scalability.testing.asking import Asking


class SecretError(Exception):
    """An exception whose text no client may see."""


def make_app() -> Klein:
    app = Klein()

    @app.route("/known")
    def known(request: IRequest) -> bytes:
        raise DependencyDown("the database is down", retry_after_s=2)

    @app.route("/unknown")
    def unknown(request: IRequest) -> bytes:
        raise SecretError("password=hunter2")

    @app.route("/unknown/later")
    async def later(request: IRequest) -> bytes:
        raise SecretError("password=hunter2")

    @app.route("/only", methods=["GET", "PUT"])
    def only(request: IRequest) -> bytes:
        return b"only"

    @app.route("/slash/")
    def slash(request: IRequest) -> bytes:
        return b"slash"

    @app.route("/number/<int:n>")
    def number(request: IRequest, n: int) -> bytes:
        return b"%d" % n

    @app.route("/teapot")
    def teapot(request: IRequest) -> bytes:
        raise ImATeapot

    @app.route("/bad")
    def bad(request: IRequest) -> bytes:
        raise BadRequest("the n is missing")

    @app.route("/nothing")
    def nothing(request: IRequest) -> None:
        return None

    @app.route("/wrong")
    def wrong(request: IRequest) -> Any:
        return 5

    return app


@pytest.fixture(params=["with json_errors", "without"])
def asking(request: pytest.FixtureRequest) -> Asking:
    app = make_app()
    return Asking(json_errors(app) if request.param == "with json_errors" else app, Clock())


def test_a_known_error_is_answered_with_its_status_and_sentence(asking: Asking) -> None:
    answer = asking.get("/known")
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert answer.json() == {"error": "dependency_down", "message": "the database is down"}


@pytest.mark.parametrize("path", ["/unknown", "/unknown/later"])
def test_an_unknown_error_is_500_and_its_traceback_stays_in_the_log(asking: Asking, path: str, logged_failures: Any) -> None:
    answer = asking.get(path)
    assert (answer.status, answer.json()["error"]) == (500, "internal_error")
    assert b"hunter2" not in answer.body
    assert b"Traceback" not in answer.body
    assert len(logged_failures.flush(SecretError)) == 1


@pytest.mark.parametrize("path", ["/nowhere", "/", "/only/more", "/number/x", "/number/-1", "/slash", "//", "/only//", "/ONLY"])
def test_where_nothing_is_the_answer_is_404_and_never_a_redirect(asking: Asking, path: str) -> None:
    answer = asking.get(path)
    assert (answer.status, answer.json()["error"]) == (404, "not_found")


def test_another_method_is_405_and_names_the_allowed_ones(asking: Asking) -> None:
    answer = asking.post("/only")
    assert (answer.status, answer.json()["error"], answer.headers["allow"]) == (405, "method_not_allowed", "GET, HEAD, PUT")


def test_werkzeugs_own_errors_keep_their_status(asking: Asking) -> None:
    assert asking.get("/teapot").status == 418
    answer = asking.get("/bad")
    assert (answer.status, answer.json()["message"]) == (400, "the n is missing")


def test_a_route_that_returns_nothing_answers_with_an_empty_body(asking: Asking) -> None:
    assert (asking.get("/nothing").status, asking.get("/nothing").body) == (200, b"")


def test_an_error_in_the_middle_of_an_answer_breaks_it_off_visibly(logged_failures: Any) -> None:
    app = json_errors(Klein())
    waiting: list[Deferred[bytes]] = []

    @app.route("/stream")
    async def stream(request: Any) -> bytes:
        request.write(b"first half, ")
        waiting.append(Deferred())
        return await waiting[-1]

    exchange = Asking(app, Clock()).send("GET", "/stream")
    waiting.pop().errback(BrokenAnswer())
    received = exchange._transport.value()
    assert b"first half, " in received
    assert not received.endswith(b"0\r\n\r\n"), "the last chunk would make it complete"
    assert b"broken_answer" not in received
    assert exchange._transport.disconnected
    assert len(logged_failures.flush(ScalelabError)) == 1
