"""Requests whose whole answer is wanted."""

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from scalability.config import Address
from scalability.errors import AnswerTimeout, BadAnswer, BrokenAnswer, ConnectError, ConnectTimeout, NoAnswer, Overloaded
from scalability.lifecycle import DeadlineWheel
from scalability.net.service_client import Answer, ServiceClient
from scalability.testing.memory import MemoryNetwork, MemoryTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\n\r\nhi"


class Service:
    """A client, and the test as its service."""

    def __init__(self, **more: Any) -> None:
        self.network = MemoryNetwork()
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()
        self.client = ServiceClient(self.network, Address("10.0.0.1", 5004), self.wheel, **more)

    def get(self, **more: Any) -> tuple[list[Any], Deferred[Answer]]:
        """A GET, and what becomes of it."""
        return result_of(asked := self.client.request(b"GET", b"/a?b=c", **more)), asked

    def accept(self) -> MemoryTransport:
        return self.network.accept()

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.25)):
            self.network.advance(0.25)


def result_of(asked: Deferred[Answer]) -> list[Any]:
    results: list[Any] = []

    def failed(failure: Failure) -> None:
        results.append(type(failure.value))

    asked.addCallbacks(results.append, failed)
    return results


def test_a_get_is_answered_whole() -> None:
    service = Service()
    results, _ = service.get()
    transport = service.accept()
    assert transport.taken() == b"GET /a?b=c HTTP/1.1\r\nHost: 10.0.0.1:5004\r\n\r\n"
    transport.deliver(OK)
    (answer,) = results
    assert (answer.status, answer.body, answer.get(b"x-a"), answer.get(b"x-b")) == (200, b"hi", b"1", None)
    assert answer.fields == ((b"Content-Length", b"2"), (b"X-A", b"1"))
    assert repr(answer) == "<Answer 200, 2 bytes>"
    assert not service.client.in_flight


def test_a_post_carries_its_fields_and_its_body() -> None:
    service = Service()
    service.client.request(b"POST", b"/task", [(b"Content-Type", b"application/json")], b"{}")
    sent = service.accept().taken()
    assert sent == b"POST /task HTTP/1.1\r\nHost: 10.0.0.1:5004\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def test_a_post_without_a_body_says_so() -> None:
    service = Service()
    service.client.request(b"POST", b"/")
    assert service.accept().taken().endswith(b"Content-Length: 0\r\n\r\n")


def test_a_body_that_comes_in_pieces_is_joined() -> None:
    service = Service()
    results, _ = service.get()
    transport = service.accept()
    transport.deliver(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
    transport.deliver(b"1\r\nc\r\n")
    assert results == []
    transport.deliver(b"0\r\n\r\n")
    assert results[0].body == b"abc"


def test_the_next_request_uses_the_same_connection() -> None:
    service = Service()
    service.get()
    transport = service.accept()
    transport.deliver(OK)
    results, _ = service.get()
    assert service.network.attempts == []
    transport.deliver(OK)
    assert results[0].status == 200


def test_a_kept_connection_that_dies_without_a_byte_is_replaced_once_for_get() -> None:
    service = Service()
    service.get()
    transport = service.accept()
    transport.deliver(OK)
    results, _ = service.get()
    transport.finish()
    assert results == []
    second = service.accept()
    assert second.taken().startswith(b"GET /a?b=c ")
    second.finish()
    assert results == [NoAnswer]


def test_a_post_is_never_sent_twice() -> None:
    service = Service()
    service.get()
    transport = service.accept()
    transport.deliver(OK)
    results = result_of(service.client.request(b"POST", b"/"))
    transport.finish()
    assert results == [NoAnswer]
    assert service.network.attempts == []


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", NoAnswer),
        (b"nonsense\r\n\r\n", BadAnswer),
        (OK[:-1], BrokenAnswer),
    ],
)
def test_what_goes_wrong_has_a_type(sent: bytes, error: type[Exception]) -> None:
    service = Service()
    results, _ = service.get()
    transport = service.accept()
    if sent:
        transport.deliver(sent)
    transport.finish()
    assert results == [error]
    assert not service.client.in_flight


def test_a_refused_connection_is_a_connect_error() -> None:
    service = Service()
    results, _ = service.get()
    service.network.refuse()
    assert results == [ConnectError]


def test_connecting_and_answering_share_one_timeout() -> None:
    service = Service(timeout_s=5.0)
    results, _ = service.get()
    service.pass_time(2.5)
    transport = service.accept()
    service.pass_time(2.25)
    assert results == []
    service.pass_time(0.75)
    assert results == [AnswerTimeout]
    assert transport.ended == "reset"


def test_a_connection_that_does_not_come_is_a_connect_timeout() -> None:
    service = Service(timeout_s=1.0)
    results, _ = service.get()
    service.pass_time(1.5)
    assert results == [ConnectTimeout]
    assert service.network.attempts == []
    results, _ = service.get(timeout_s=0.5)
    service.pass_time(1)
    assert results == [ConnectTimeout]


def test_an_answer_that_is_too_large_is_a_bad_answer() -> None:
    service = Service(max_body_bytes=1)
    results, _ = service.get()
    transport = service.accept()
    transport.deliver(OK)
    assert results == [BadAnswer]
    results, _ = service.get()
    transport.deliver(OK[:-1].replace(b"2", b"9") + b"jk")
    assert results == [BadAnswer]
    assert not service.client.in_flight


def test_a_cancelled_request_closes_its_connection() -> None:
    service = Service()
    results, asked = service.get()
    transport = service.accept()
    asked.cancel()
    assert results == [CancelledError]
    assert transport.ended == "reset"
    results, asked = service.get()
    asked.cancel()
    assert service.network.attempts == []
    assert not service.client.in_flight


def test_too_many_requests_at_once_are_refused() -> None:
    service = Service(max_in_flight=1)
    service.get()
    results, _ = service.get()
    assert results == [Overloaded]


def test_a_closed_client_fails_what_is_in_flight_and_what_comes_later() -> None:
    service = Service()
    first, _ = service.get()
    transport = service.accept()
    second, _ = service.get()
    service.client.close()
    service.client.close()
    third, _ = service.get()
    assert first == [NoAnswer]
    assert second[0] in (ConnectError, NoAnswer)
    assert third == [ConnectError]
    assert transport.ended == "reset"
    assert service.network.attempts == []


@pytest.mark.parametrize("target", [b"", b"a", b"/a b", b"/\r\nX: 1", b"/\xff", b"/a#b"])
def test_a_target_that_would_break_the_request_is_refused(target: bytes) -> None:
    with pytest.raises(ValueError, match="request line"):
        Service().client.request(b"GET", target)


@pytest.mark.parametrize("field", [(b"A", b"b\r\nC: d"), (b"", b"b"), (b"A\n", b"b"), (b"A", b"\0")])
def test_a_field_that_would_break_the_request_is_refused(field: tuple[bytes, bytes]) -> None:
    service = Service()
    with pytest.raises(ValueError, match="head"):
        service.client.request(b"GET", b"/", [field])
    assert not service.client.in_flight
