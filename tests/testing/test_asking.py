"""The in-memory client of Klein apps."""

import pytest
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.iweb import IRequest

from scalability.testing.asking import Asking

app = Klein()
waiting: list["Deferred[bytes]"] = []
cancelled: list[object] = []


@app.route("/echo/<path:what>", methods=["GET", "POST"])
def echo(request: IRequest, what: str) -> bytes:
    request.setHeader(b"x-what", what.encode())
    return bytes(request.content.read())


@app.route("/later")
def later(request: IRequest) -> "Deferred[bytes]":
    answer: Deferred[bytes] = Deferred(cancelled.append)
    waiting.append(answer)
    return answer


def test_an_answer_has_status_fields_and_body() -> None:
    answer = Asking(app, Clock()).post("/echo/a%20b?c", json={"a": 1})
    assert (answer.status, answer.headers["x-what"], answer.json()) == (200, "a b", {"a": 1})
    assert Asking(app, Clock()).get("/nowhere").status == 404


def test_an_answer_that_is_not_there_yet_is_not_made_up() -> None:
    exchange = Asking(app, Clock()).send("GET", "/later")
    assert not exchange.answered
    with pytest.raises(AssertionError, match="no answer yet"):
        _ = exchange.answer
    waiting.pop().callback(b"now")
    assert exchange.answer.body == b"now"


def test_a_client_that_leaves_cancels_what_it_waited_for() -> None:
    exchange = Asking(app, Clock()).send("GET", "/later")
    exchange.leave()
    assert cancelled == [waiting.pop()]
