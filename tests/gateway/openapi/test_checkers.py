"""Processes that check bodies: what they are asked and what comes of it. ``tests/lifecycle/test_process_pool.py`` has the rest."""

import io
import json
from typing import Any

import msgspec
from twisted.internet.defer import CancelledError
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import BodyTooLarge, Overloaded
from scalability.gateway.openapi.bodies import Verdict
from scalability.gateway.openapi.checker import read_frame
from scalability.gateway.openapi.checkers import Checkers
from scalability.gateway.openapi.document import Document
from scalability.gateway.openapi.schemas import Schemas
from scalability.testing.api_document import SHOP
from scalability.testing.fake_processes import FakeProcess, ProcessClock

AT = "/paths/~1orders/post/requestBody/content/application~1json/schema"


def messages(process: FakeProcess) -> list[tuple[dict[str, Any], bytes]]:
    """What it was asked."""
    stream = io.BytesIO(b"".join(process.written))
    found = []
    while (message := read_frame(stream)) is not None:
        found.append(message)
    return found


def says(process: FakeProcess, not_json: str = "", *problems: tuple[str, str]) -> None:
    line = json.dumps([not_json, problems]).encode() + b"\n"
    process.says(line[:5], line[5:])


class CheckersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = ProcessClock()
        self.checkers = Checkers(self.reactor, size=2, max_waiting=3, timeout_s=10.0)
        self.checkers.startService()
        self.document = Document(SHOP)
        self.check = Schemas(self.document).check(AT)

    def tearDown(self) -> None:
        assert self.reactor.getDelayedCalls() == []

    def begin(self, body: bytes = b"[]") -> Any:
        return self.checkers.check(self.check, body, 16)

    def test_a_process_is_started_when_it_is_needed_and_told_a_document_once(self) -> None:
        assert self.reactor.spawned == []
        first = self.begin(b"one")
        (process,) = self.reactor.spawned
        assert process.env["PYTHONPATH"]
        said, asked = messages(process)
        assert (said[0], json.loads(said[1])) == ({"document": 0}, self.document.root)
        assert asked == ({"document": 0, "at": AT, "max_nesting": 16}, b"one")
        says(process, "", ("/0", "is wrong"))
        assert self.successResultOf(first) == Verdict("", [("/0", "is wrong")])
        second = self.begin(b"two")
        assert [body for _, body in messages(process)[2:]] == [b"two"]
        says(process, "it is not")
        assert self.successResultOf(second) == Verdict("it is not", [])
        other = self.checkers.check(Schemas(Document(SHOP)).check(AT), b"three", 16)
        assert messages(process)[3][0] == {"document": 1}
        says(process)
        self.successResultOf(other)

    def test_there_are_no_more_than_so_many_and_no_more_wait_than_that(self) -> None:
        checks = [self.begin(b"%d" % number) for number in range(5)]
        assert len(self.reactor.spawned) == 2
        assert self.checkers.waiting == 3
        error = self.failureResultOf(self.begin(), Overloaded).value
        assert str(error) == "too many bodies are being checked; try again later"
        one, two = self.reactor.spawned
        says(two)
        assert messages(two)[-1][1] == b"2"
        self.successResultOf(checks[1])
        checks[3].cancel()
        self.failureResultOf(checks[3], CancelledError)
        says(one)
        assert messages(one)[-1][1] == b"4"
        for process in (one, two):
            says(process)

    def test_a_body_that_takes_too_long_is_refused_and_its_process_ended(self) -> None:
        check = self.begin()
        self.reactor.advance(10.0)
        (process,) = self.reactor.spawned
        assert process.signals == ["KILL"]
        process.end(signal=9)
        self.failureResultOf(check, BodyTooLarge)
        assert self.checkers.given_up == 1

    def test_a_process_that_dies_takes_its_body_with_it_and_the_next_one_is_told_the_document_too(self) -> None:
        checks = [self.begin() for _ in range(3)]
        self.reactor.spawned[0].end(signal=9)
        assert str(self.failureResultOf(checks[0], Overloaded).value) == "the check was interrupted"
        assert [message[0].get("at") for message in messages(self.reactor.spawned[2])] == [None, AT]
        says(self.reactor.spawned[2])
        self.successResultOf(checks[2])
        says(self.reactor.spawned[1])

    def test_a_line_that_is_no_verdict_fails_the_check_and_nobody_waits(self) -> None:
        check = self.begin()
        self.reactor.spawned[0].says(b"42\n")
        self.failureResultOf(check, msgspec.ValidationError)

    def test_what_a_process_complains_of_stands_in_the_log(self) -> None:
        with capturedLogs() as events:
            self.begin()
            self.reactor.spawned[0].protocol.childDataReceived(2, b"Traceback")
        says(self.reactor.spawned[0])
        assert [(event["log_namespace"], event["said"]) for event in events] == [
            ("scalability.gateway.openapi.checkers.Checkers", "Traceback")
        ]
