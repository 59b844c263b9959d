"""The service that a test plays."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import ConnectError
from scalability.net.service_client import Answer
from scalability.testing.services import FakeService, answer


class FakeServiceTests(SynchronousTestCase):
    def test_a_request_waits_until_it_is_answered(self) -> None:
        service = FakeService()
        waiting: Deferred[Answer] = service.request(b"POST", b"/x", body=b"{}")
        self.assertNoResult(waiting)
        (asked,) = service.open
        assert (asked.method, asked.target, asked.body) == (b"POST", b"/x", b"{}")
        asked.answer(201, {"a": 1}, [(b"Retry-After", b"3")])
        got = self.successResultOf(waiting)
        assert (got.status, got.body, got.get(b"retry-after")) == (201, b'{"a":1}', b"3")
        assert service.open == []

    def test_a_request_can_fail_and_be_cancelled(self) -> None:
        service = FakeService()
        failing, leaving = service.request(b"GET", b"/a"), service.request(b"GET", b"/b")
        service.open[0].fail(ConnectError())
        self.failureResultOf(failing, ConnectError)
        leaving.cancel()
        self.failureResultOf(leaving)
        assert service.asked[1].cancelled

    def test_one_that_always_answers_does_so_at_once(self) -> None:
        service = FakeService(lambda asked: answer(200, asked.target.decode()) if asked.method == b"GET" else ConnectError())
        assert self.successResultOf(service.request(b"GET", b"/a")).body == b'"/a"'
        self.failureResultOf(service.request(b"PUT", b"/a"), ConnectError)
        service.close()
        assert service.closed
