"""The value of /data and its bodies; how failures are answered is tried through the routes (test_http_api)."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import BadAnswer, ConnectError, DependencyDown
from scalability.gateway.data import DataSource, data_body
from scalability.gateway.dependencies import Dependency
from scalability.gateway.look_aside import Found, Origin
from scalability.net.service_client import Answer
from scalability.testing.services import FakeService, answer


class DataSourceTests(SynchronousTestCase):
    def loaded(self, given: Answer | Exception) -> "Deferred[bytes]":
        service = FakeService(lambda asked: given)
        return Deferred.fromCoroutine(DataSource(Dependency("database", service, Clock())).load())

    def test_the_value_is_the_rows_message_as_the_text_it_came_as(self) -> None:
        assert self.successResultOf(self.loaded(answer(200, b'{"message": [1.10, null]}'))) == b"[1.10, null]"

    def test_a_database_that_fails_is_down_and_one_that_makes_no_sense_is_bad(self) -> None:
        assert self.failureResultOf(self.loaded(ConnectError()), DependencyDown).value.retry_after_s == 1
        assert self.failureResultOf(self.loaded(answer(503, {}, [(b"Retry-After", b"9")])), DependencyDown).value.retry_after_s == 9
        self.failureResultOf(self.loaded(answer(200, b"[]")), BadAnswer)


@pytest.mark.parametrize(
    ("origin", "body"),
    [
        (Origin.HIT, b'{"cached":true,"data":"%b"}'),
        (Origin.LOADED, b'{"cached":false,"data":"%b"}'),
        (Origin.STALE, b'{"cached":true,"data":"%b","stale":true}'),
    ],
)
def test_a_body_says_where_the_value_came_from(origin: Origin, body: bytes) -> None:
    assert data_body(Found(b'"%b"', origin)) == body
