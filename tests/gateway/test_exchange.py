"""Fields that policies add to answers."""

from typing import Any

import pytest

from scalability.errors import Forbidden
from scalability.gateway.exchange import GatewayExchange, GatewayFactory, with_added
from scalability.lifecycle import DeadlineWheel
from scalability.testing.memory import MemoryNetwork

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


class Application:
    def __init__(self, answer: Any) -> None:
        self.request_received = answer


def answered(answer: Any) -> bytes:
    network = MemoryNetwork()
    factory = GatewayFactory(Application(answer), clock=network, wheel=DeadlineWheel(network))
    client = network.connect_to(factory)
    client.deliver(GET)
    sent: bytes = client.taken()
    return sent


def begin(exchange: GatewayExchange) -> None:
    exchange.send_interim(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    exchange.begin(200, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh", keep_alive=True)
    exchange.finish(b"i")


@pytest.mark.parametrize(
    "answer",
    [
        begin,
        lambda exchange: exchange.reply(200, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", keep_alive=True),
        lambda exchange: exchange.answer(200, b"hi"),
        lambda exchange: exchange.fail(Forbidden()),
    ],
)
def test_every_final_answer_has_the_added_fields(answer: Any) -> None:
    def serve(exchange: GatewayExchange) -> None:
        exchange.added.append((b"RateLimit", b"a"))
        exchange.added.append((b"Vary", b"Origin"))
        answer(exchange)

    sent = answered(serve)
    head = sent.rpartition(b"\r\n\r\n")[0]
    assert head.endswith(b"\r\nRateLimit: a\r\nVary: Origin")
    assert sent.count(b"RateLimit") == 1


def test_a_field_of_ours_takes_the_place_of_the_origins_unless_it_is_a_list() -> None:
    block = b"HTTP/1.1 200 OK\r\nVary: A\r\naccess-control-allow-origin: x\r\nX-Access-Control-Allow-Origin: y\r\n\r\nVary: body\r\n\r\n"
    added = [(b"Access-Control-Allow-Origin", b"z"), (b"Vary", b"B")]
    assert with_added(block, added) == (
        b"HTTP/1.1 200 OK\r\nVary: A\r\nX-Access-Control-Allow-Origin: y\r\nAccess-Control-Allow-Origin: z\r\nVary: B\r\n\r\n"
        b"Vary: body\r\n\r\n"
    )


def test_each_application_has_a_memory_of_its_own_on_one_connection() -> None:
    seen: list[Any] = []

    def serve(exchange: Any) -> None:
        exchange.connection.serve(exchange.head.target[:2])
        seen.append(exchange.connection.memory)
        exchange.connection.memory = exchange.head.target
        exchange.answer(200, b"")

    network = MemoryNetwork()
    client = network.connect_to(GatewayFactory(Application(serve), clock=network, wheel=DeadlineWheel(network)))
    for target in (b"/a1", b"/b1", b"/a2", b"/a3", b"/b2"):
        client.deliver(GET.replace(b"/a", target))
    assert seen == [None, None, b"/a1", b"/a2", b"/b1"]
