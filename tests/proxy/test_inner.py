"""Requests that no client's connection carries."""

from collections.abc import Callable
from typing import Any

import pytest

from scalability.errors import NoServer, ScalelabError
from scalability.http1.fields import Field
from scalability.http1.making import make_request_head
from scalability.http1.response_head import ResponseHead
from scalability.lifecycle import DeadlineWheel
from scalability.net.exchange import Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.proxy.inner import InnerConnection, InnerExchange
from scalability.testing.memory import MemoryNetwork
from scalability.testing.proxying import Proxy

HEAD = make_request_head(b"GET", b"/a", [(b"Host", b"shop")])
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Asker:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.on_head: Callable[[], None] = lambda: None

    def interim_received(self, head: ResponseHead) -> None:
        self.told.append(("interim", head.status))

    def head_received(self, head: ResponseHead) -> None:
        self.told.append(("head", head.status))
        self.on_head()

    def body_received(self, data: bytes) -> None:
        self.told.append(("body", data))

    def answer_ended(self, trailers: tuple[Field, ...]) -> None:
        self.told.append(("ended", trailers))

    def answer_failed(self, error: ScalelabError) -> None:
        self.told.append(("failed", error.code))


class Application:
    """Keeps its exchange and remembers what it hears of the client."""

    def __init__(self, answer: Callable[[Exchange], None] = lambda exchange: None) -> None:
        self.heard: list[Any] = []
        self._answer = answer

    def request_received(self, exchange: Exchange) -> None:
        self.exchange = exchange
        exchange.receiver = self
        self._answer(exchange)

    def body_received(self, data: bytes, ended: bool) -> None:
        self.heard.append((data, ended))

    def client_lost(self, error: ScalelabError) -> None:
        self.heard.append(error.code)

    def client_full(self) -> None:
        self.heard.append("full")

    def client_ready(self) -> None:
        self.heard.append("ready")


def asked(application: Any, **more: Any) -> tuple[InnerExchange, Asker]:
    network = MemoryNetwork()
    server = HTTPServerFactory(application, clock=network, wheel=DeadlineWheel(network))
    asker = Asker()
    exchange = InnerExchange(more.pop("head", HEAD), asker, InnerConnection(server), **more)
    exchange.ask(application)
    return exchange, asker


def test_an_answer_is_told_as_head_body_and_end() -> None:
    application = Application()
    _, asker = asked(application)
    application.exchange.send_interim(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n")
    application.exchange.begin(200, LENGTH + b"h", keep_alive=True)
    application.exchange.write(b"i")
    application.exchange.finish()
    assert asker.told == [("interim", 103), ("head", 200), ("body", b"h"), ("body", b"i"), ("ended", ())]


def test_a_complete_answer_may_come_before_ask_returns() -> None:
    _, asker = asked(Application(lambda exchange: exchange.answer(200, b"hi")))
    assert asker.told == [("head", 200), ("body", b"hi"), ("ended", ())]


def test_chunks_are_taken_apart_and_trailers_told() -> None:
    application = Application()
    _, asker = asked(application)
    application.exchange.begin(200, CHUNKED, keep_alive=True)
    application.exchange.finish(b"2\r\nhi\r\n0\r\nA: b\r\n\r\n")
    assert asker.told == [("head", 200), ("body", b"hi"), ("ended", ((b"A", b"b"),))]


def test_a_body_that_ends_with_its_connection_ends_with_the_answer() -> None:
    _, asker = asked(Application(lambda exchange: exchange.reply(200, b"HTTP/1.1 200 OK\r\n\r\nhi", keep_alive=False)))
    assert asker.told == [("head", 200), ("body", b"hi"), ("ended", ())]


@pytest.mark.parametrize("status", [200, 599, 600, 999])
def test_every_final_status_passes(status: int) -> None:
    block = b"HTTP/1.1 %d Odd\r\nContent-Length: 0\r\n\r\n" % status
    _, asker = asked(Application(lambda exchange: exchange.reply(status, block, keep_alive=True)))
    assert asker.told == [("head", status), ("ended", ())]


@pytest.mark.parametrize(
    "block", [LENGTH + b"h", LENGTH + b"hi!", CHUNKED + b"x", b"HTTP/1.1 200 OK\r\n", b"nonsense\r\n\r\n", b"HTTP/1.1 103 Early\r\n\r\n"]
)
def test_an_answer_that_is_none_fails_and_the_application_hears_nothing_of_it(block: bytes) -> None:
    application = Application(lambda exchange: exchange.reply(200, block, keep_alive=True))
    _, asker = asked(application)
    assert asker.told[-1] in (("failed", "broken_answer"), ("failed", "bad_answer"))
    assert application.heard == []


def test_an_answer_that_goes_wrong_on_its_way_is_cancelled() -> None:
    application = Application()
    _, asker = asked(application)
    application.exchange.begin(200, CHUNKED, keep_alive=True)
    application.exchange.write(b"nonsense")
    application.exchange.write(b"2\r\nhi\r\n")
    assert asker.told == [("head", 200), ("failed", "broken_answer")]
    assert application.heard == ["bad_answer"]


def test_an_error_before_an_answer_is_told_and_after_its_head_the_answer_is_broken() -> None:
    _, asker = asked(Application(lambda exchange: exchange.fail(NoServer())))
    assert asker.told == [("failed", "no_server")]
    application = Application()
    _, asker = asked(application)
    application.exchange.begin(200, LENGTH, keep_alive=True)
    application.exchange.fail(NoServer())
    assert asker.told == [("head", 200), ("failed", "broken_answer")]


def test_an_application_that_raises_has_failed(logged_failures: Any) -> None:
    def broken(exchange: Exchange) -> None:
        raise ZeroDivisionError

    _, asker = asked(Application(broken))
    assert asker.told == [("failed", "internal_error")]
    assert logged_failures.flush(ZeroDivisionError)


def test_who_cancels_is_told_nothing_more_and_the_application_hears_that_the_client_has_gone() -> None:
    application = Application()
    inner, asker = asked(application)
    inner.cancel()
    inner.cancel()
    application.exchange.begin(200, LENGTH, keep_alive=True)
    application.exchange.finish(b"hi")
    assert asker.told == []
    assert application.heard == ["client_gone"]


def test_cancelling_while_a_complete_answer_is_told_does_not_reach_the_application() -> None:
    application = Application()
    inner, asker = asked(application)
    asker.on_head = inner.cancel
    application.exchange.reply(200, LENGTH + b"hi", keep_alive=True)
    assert asker.told == [("head", 200)]
    assert application.heard == []


def test_pausing_reaches_the_application_once_it_can_hold_back() -> None:
    application = Application()
    inner, _ = asked(application)
    inner.pause()
    application.exchange.begin(200, LENGTH, keep_alive=True)
    inner.resume()
    inner.resume()
    assert application.heard == ["full", "full", "ready"]


def test_a_body_is_given_whole_or_fed() -> None:
    calls: list[Any] = []

    class Client:
        def pause_body(self) -> None:
            calls.append("pause")

        def resume_body(self) -> None:
            calls.append("resume")

        def limit_body(self, max_bytes: int) -> None:
            calls.append(max_bytes)

        def send_continue(self) -> None:
            calls.append("continue")

    head = make_request_head(b"POST", b"/a", [(b"Host", b"shop"), (b"Content-Length", b"4")])
    application = Application()
    asked(application, head=head, body=b"body")
    assert (application.exchange.body, application.exchange.body_complete) == (b"body", True)
    inner, _ = asked(application, head=head, body=b"bo", uploading=Client())
    application.exchange.send_continue()
    application.exchange.limit_body(9)
    application.exchange.pause_body()
    application.exchange.resume_body()
    inner.feed(b"dy", True)
    assert application.heard == [(b"dy", True)]
    assert application.exchange.body_complete
    application.exchange.pause_body()
    assert calls == ["continue", 9, "pause", "resume"]


def test_a_proxy_answers_it_and_counts_it_as_any_other() -> None:
    proxy = Proxy()
    asker = Asker()
    InnerExchange(HEAD, asker, InnerConnection(proxy.factory)).ask(proxy.application)
    server = proxy.network.accept()
    assert b"X-Forwarded-For: 127.0.0.1\r\n" in server.taken()
    server.deliver(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    server.deliver(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
    server.deliver(b"0\r\n\r\n")
    assert asker.told == [("interim", 103), ("head", 200), ("body", b"hi"), ("ended", ())]
    assert [server.active for server in proxy.servers] == [0]


def test_cancelling_resets_the_connection_to_the_server() -> None:
    proxy = Proxy()
    asker = Asker()
    inner = InnerExchange(HEAD, asker, InnerConnection(proxy.factory))
    inner.ask(proxy.application)
    server = proxy.network.accept()
    server.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nh")
    inner.cancel()
    assert server.ended == "reset"
    assert [server.active for server in proxy.servers] == [0]


def test_who_was_checked_in_front_is_known_within() -> None:
    network = MemoryNetwork()
    server = HTTPServerFactory(Application(), clock=network, wheel=DeadlineWheel(network))
    assert not InnerExchange(HEAD, Asker(), InnerConnection(server)).authenticated
    connection = InnerConnection(server)
    connection.authenticated = True
    client = InnerExchange(HEAD, Asker(), connection)
    assert InnerExchange(HEAD, Asker(), InnerConnection(server, client)).authenticated
