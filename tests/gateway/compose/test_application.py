"""Several parts, one answer: all of it, what is left of it, or an error that names the part."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.errors import AnswerTimeout, NoServer
from scalability.gateway.compose.application import ComposingApplication
from scalability.gateway.compose.config import ComposeOptions
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.net.exchange import Exchange
from scalability.testing.memory import MemoryNetwork
from scalability.testing.played_application import Answered, Client, PlayedApplication

USER = {"name": "user", "target": "/users/{id}", "pick": ["name"]}
ORDERS = {"name": "orders", "target": "/orders/of/{id}?open=1", "group": "orders", "fallback": []}
NEWS = {"name": "news", "target": "/news", "group": "news", "required": False, "query": ["lang"]}


class Pages:
    def __init__(self, *parts: Any, **more: Any) -> None:
        self.played = PlayedApplication()
        options = msgspec.convert({"path": "/pages/{id}", "parts": list(parts or (USER, ORDERS)), **more}, ComposeOptions)
        self.application: ComposingApplication

        def make(network: MemoryNetwork) -> ComposingApplication:
            self.application = ComposingApplication(
                options, self.played, network, limits=DEFAULT_LIMITS, wall=lambda: 1.7e9 + network.seconds()
            )
            return self.application

        self.client = Client(make)

    def send(self, target: str = "/pages/7", *fields: str, method: str = "GET") -> list[Exchange]:
        """Ask; the parts' exchanges."""
        self.played.exchanges.clear()
        self.client.send(method, target, *fields)
        return list(self.played.exchanges)

    def answered(self) -> Answered:
        return self.client.answered()

    @property
    def silent(self) -> bool:
        return not self.client.transport.taken()


def fields(*given: bytes) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, _, value in (field.partition(b": ") for field in given)]


FRESH = fields(b"Cache-Control: max-age=60")


def test_the_parts_are_asked_at_once_and_become_one_object() -> None:
    pages = Pages()
    user, orders = pages.send()
    assert [one.head.target for one in (user, orders)] == [b"/users/7", b"/orders/of/7?open=1"]
    orders.answer(200, b"[1, 2.50]", fields=fields(b"Cache-Control: max-age=30, private", b"Vary: Origin"))
    assert pages.silent
    user.answer(200, b'{"name": "Ann", "password": "x"}', fields=FRESH)
    answered = pages.answered()
    assert (answered.status, answered.body) == (200, b'{"name":"Ann","orders":[1, 2.50]}')
    assert answered.get("content-type") == "application/json"
    assert answered.get("cache-control") == "private, max-age=30"
    assert answered.get("vary") == "origin"
    assert answered.get("x-scalelab-completed") == "true"
    assert (pages.application.composed, pages.application.at_once) == (1, 0)


def test_what_a_part_says_in_dates_is_compared_with_the_wall_clock() -> None:
    pages = Pages()
    user, orders = pages.send()
    pages.client.network.advance(1)
    orders.answer(200, b"[]", fields=FRESH)
    dated = fields(b"Date: Tue, 14 Nov 2023 22:13:11 GMT", b"Expires: Tue, 14 Nov 2023 22:13:51 GMT")
    user.answer(200, b'{"name": "Ann"}', fields=dated)
    assert pages.answered().get("cache-control") == "max-age=30", "it was made 10 s ago, for 40"


def test_head_has_the_fields_of_get() -> None:
    pages = Pages()
    for part in pages.send(method="HEAD"):
        assert part.head.method == b"GET"
        part.answer(200, b'{"name": "Ann"}')
    answered = pages.client.answered("HEAD")
    assert (answered.status, answered.body, answered.rest) == (200, b"", b"")
    assert answered.get("content-length") == str(len(b'{"name":"Ann","orders":{"name": "Ann"}}'))


@pytest.mark.parametrize("part_status", [500, 503, 204, 302, 418, 199])
def test_a_part_that_may_fail_is_replaced_and_the_answer_says_so(part_status: int) -> None:
    pages = Pages()
    user, orders = pages.send()
    user.answer(200, b'{"name": "Ann"}', fields=FRESH)
    if part_status == 204:
        orders.reply(204, b"HTTP/1.1 204 X\r\n\r\n", keep_alive=True)
    elif part_status == 199:
        orders.reply(200, b"no http", keep_alive=True)
    else:
        orders.answer(part_status, b"{}")
    answered = pages.answered()
    assert json.loads(answered.body) == {"name": "Ann", "orders": []}
    assert (answered.get("x-scalelab-completed"), answered.get("cache-control")) == ("false", "no-store")
    assert pages.application.incomplete == 1


def test_a_part_without_a_fallback_may_be_left_out() -> None:
    pages = Pages(USER, NEWS)
    user, news = pages.send()
    news.fail(NoServer())
    user.answer(200, b'{"name": "Ann"}')
    assert json.loads(pages.answered().body) == {"name": "Ann"}


@pytest.mark.parametrize(
    ("play", "status", "why"),
    [
        (lambda part: part.answer(500, b"{}"), 502, "it answered 500"),
        (lambda part: part.answer(504, b"{}"), 502, "it answered 504"),
        (lambda part: part.fail(NoServer()), 502, "No healthy server"),
        (lambda part: part.fail(AnswerTimeout()), 504, "did not answer in time"),
        (lambda part: part.answer(200, b"<html>"), 502, "not JSON"),
        (lambda part: part.answer(200, b"[1]"), 502, "no object"),
        (lambda part: part.answer(200, b'{"name": "' + b"x" * 1000 + b'"}'), 502, "larger than 1000 bytes"),
        (lambda part: part.answer(404, b"{}"), 404, "it answered 404"),
        (lambda part: part.answer(403, b"{}"), 403, "it answered 403"),
        (lambda part: part.abort(), 502, ""),
    ],
)
def test_a_required_part_that_fails_is_named_and_the_others_are_cancelled(play: Any, status: int, why: str) -> None:
    pages = Pages(max_part_bytes=1000)
    user, _ = pages.send()
    play(user)
    answered = pages.answered()
    told = json.loads(answered.body)
    assert (answered.status, told["error"], told["part"]) == (status, "part_failed", "user")
    assert why in told["message"]
    assert answered.get("cache-control") == "no-store"
    assert pages.played.heard.count("lost") >= 1
    assert (pages.application.failed, pages.application.at_once) == (1, 0)


def test_a_chunked_part_that_grows_too_large_is_stopped() -> None:
    pages = Pages(max_part_bytes=1000)
    user, _ = pages.send()
    user.begin(200, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", keep_alive=True)
    user.write(b"3e9\r\n" + b"x" * 1001 + b"\r\n")
    assert "larger than 1000 bytes" in json.loads(pages.answered().body)["message"]


def test_who_needs_a_token_for_a_part_is_told_so() -> None:
    pages = Pages()
    user, _ = pages.send("/pages/7", "Authorization: Bearer old", "Cookie: a=b", "X-Secret: 1")
    assert user.head.fields == (
        (b"Host", b"gateway.example"),
        (b"Accept", b"application/json"),
        (b"Authorization", b"Bearer old"),
    )
    user.answer(401, b"{}", fields=fields(b'WWW-Authenticate: Bearer error="invalid_token"'))
    answered = pages.answered()
    assert (answered.status, answered.get("www-authenticate")) == (401, 'Bearer error="invalid_token"')


def test_one_deadline_is_for_all_parts() -> None:
    pages = Pages(timeout=1.5)
    user, _ = pages.send()
    user.answer(200, b'{"name": "Ann"}')
    pages.client.network.advance(1.4)
    assert pages.silent
    pages.client.network.advance(0.2)
    assert json.loads(pages.answered().body) == {"name": "Ann", "orders": []}
    late = Pages(timeout=1.5)
    late.send()
    late.client.network.advance(1.6)
    answered = late.answered()
    assert (answered.status, json.loads(answered.body)["part"]) == (504, "user")
    assert late.played.heard == ["lost", "lost"]


def test_answers_that_come_after_the_end_change_nothing() -> None:
    pages = Pages(timeout=1.0)
    user, orders = pages.send()
    pages.client.network.advance(1.1)
    assert pages.answered().status == 504
    user.answer(200, b'{"name": "Ann"}')
    orders.answer(200, b"[]")
    assert pages.silent


def test_a_client_that_leaves_ends_its_parts() -> None:
    pages = Pages()
    pages.send()
    pages.client.transport.reset()
    assert pages.played.heard == ["lost", "lost"]
    assert pages.application.at_once == 0


def test_only_allowed_arguments_are_passed_on() -> None:
    pages = Pages(USER, NEWS, query=["full"])
    user, news = pages.send("/pages/7?lang=de&full=1&debug=1")
    assert (user.head.target, news.head.target) == (b"/users/7?full=1", b"/news?lang=de")


def test_other_paths_and_methods_are_refused() -> None:
    pages = Pages()
    for target in ("/pages", "/pages/", "/pages/a%2Fb", "/pages/../admin", "/pages/%2e%2e", "/pages/1/2"):
        assert pages.send(target) == []
        assert pages.answered().status == 404
    assert pages.send(method="DELETE") == []
    answered = pages.client.answered("DELETE")
    assert (answered.status, answered.get("allow")) == (405, "GET, HEAD")


def test_only_so_many_are_composed_at_once() -> None:
    pages = Pages(max_at_once=1)
    pages.send()
    application = pages.application
    other = Client(lambda network: application)
    answered = other.ask("GET", "/pages/8")
    assert (answered.status, answered.get("retry-after")) == (503, "1")


def test_a_head_that_is_too_large_with_its_parameters_fails_that_part() -> None:
    pages = Pages({**USER, "target": "/" + "a/" * 60 + "{id}/" + "b" * 4000}, max_part_bytes=1000)
    assert pages.send("/pages/" + "x" * 6000) == []
    assert pages.answered().status in (414, 431)


@given(st.permutations(range(6)))
def test_the_answers_of_several_clients_are_never_mixed(order: list[int]) -> None:
    pages = Pages()
    application = pages.application
    clients = [Client(lambda network: application) for _ in range(3)]
    for number, client in enumerate(clients):
        client.send("GET", f"/pages/{number}")
    parts = list(pages.played.exchanges)
    for at in order:
        part = parts[at]
        whose = part.head.target.partition(b"?")[0].rpartition(b"/")[2]
        part.answer(200, b'{"name": %b}' % whose if b"users" in part.head.target else b"[%b]" % whose)
    for number, client in enumerate(clients):
        assert json.loads(client.answered().body) == {"name": number, "orders": [number]}
