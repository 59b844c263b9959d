"""Processes that check bodies: bounded, in order, with a deadline, nothing lost when one dies."""

import io
import json
from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import BodyTooLarge, Overloaded
from scalability.gateway.openapi.bodies import Verdict
from scalability.gateway.openapi.checker import read_frame
from scalability.gateway.openapi.checkers import Checkers
from scalability.gateway.openapi.document import Document
from scalability.gateway.openapi.schemas import Schemas
from scalability.testing.api_document import SHOP

AT = "/paths/~1orders/post/requestBody/content/application~1json/schema"


class FakeProcess:
    """What the pool has started; the test speaks for it."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.written = b""
        self.killed = 0
        self.gone = False

    def writeToChild(self, fd: int, data: bytes) -> None:  # noqa: N802 - Twisted's name
        assert fd == 0
        self.written += data

    def signalProcess(self, name: str) -> None:  # noqa: N802 - Twisted's name
        if self.gone:
            raise ProcessExitedAlready
        assert name == "KILL"
        self.killed += 1

    @property
    def messages(self) -> list[tuple[dict[str, Any], bytes]]:
        stream = io.BytesIO(self.written)
        found = []
        while (message := read_frame(stream)) is not None:
            found.append(message)
        return found

    def says(self, not_json: str = "", *problems: tuple[str, str]) -> None:
        line = json.dumps([not_json, problems]).encode() + b"\n"
        self.protocol.outReceived(line[:5])
        self.protocol.outReceived(line[5:])

    def ends(self, status: int = 0) -> None:
        self.gone = True
        self.protocol.processEnded(Failure(ProcessTerminated(status) if status else ProcessDone(None)))


class FakeReactor(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.processes: list[FakeProcess] = []

    def spawnProcess(self, protocol: Any, executable: str, args: list[str], env: dict[str, str]) -> FakeProcess:  # noqa: N802 - Twisted's name
        assert env["PYTHONPATH"]
        process = FakeProcess(protocol)
        self.processes.append(process)
        protocol.makeConnection(process)
        return process


class CheckersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.checkers = Checkers(self.reactor, size=2, max_waiting=3, timeout_s=10.0)
        self.checkers.startService()
        self.document = Document(SHOP)
        self.check = Schemas(self.document).check(AT)

    def tearDown(self) -> None:
        assert self.reactor.getDelayedCalls() == []

    def begin(self, body: bytes = b"[]") -> Any:
        return self.checkers.check(self.check, body, 16)

    def test_a_process_is_started_when_it_is_needed_and_told_a_document_once(self) -> None:
        assert self.reactor.processes == []
        first = self.begin(b"one")
        (process,) = self.reactor.processes
        said, asked = process.messages
        assert (said[0], json.loads(said[1])) == ({"document": 0}, self.document.root)
        assert asked == ({"document": 0, "at": AT, "max_nesting": 16}, b"one")
        process.says("", ("/0", "is wrong"))
        assert self.successResultOf(first) == Verdict("", [("/0", "is wrong")])
        second = self.begin(b"two")
        assert [body for _, body in process.messages[2:]] == [b"two"]
        process.says("it is not")
        assert self.successResultOf(second) == Verdict("it is not", [])
        other = self.checkers.check(Schemas(Document(SHOP)).check(AT), b"three", 16)
        assert process.messages[3][0] == {"document": 1}
        process.says()
        self.successResultOf(other)

    def test_there_are_no_more_than_so_many_and_no_more_wait_than_that(self) -> None:
        checks = [self.begin(b"%d" % number) for number in range(5)]
        assert len(self.reactor.processes) == 2
        assert self.checkers.waiting == 3
        self.failureResultOf(self.begin(), Overloaded)
        one, two = self.reactor.processes
        two.says()
        assert two.messages[-1][1] == b"2"
        self.successResultOf(checks[1])
        checks[3].cancel()
        self.failureResultOf(checks[3])
        one.says()
        assert one.messages[-1][1] == b"4"
        for process in (one, two):
            process.says()

    def test_who_leaves_while_it_is_read_is_told_nothing(self) -> None:
        check = self.begin()
        check.cancel()
        self.failureResultOf(check)
        self.reactor.processes[0].says()
        self.begin(b"next")
        assert self.reactor.processes[0].messages[-1][1] == b"next"
        self.reactor.processes[0].says()

    def test_a_body_that_takes_too_long_is_refused_and_its_process_ended(self) -> None:
        check, other = self.begin(), self.begin(b"other")
        waiting = [self.begin(b"%d" % number) for number in range(2)]
        one, two = self.reactor.processes
        two.says()
        self.successResultOf(other)
        self.reactor.advance(9.9)
        two.says()
        self.reactor.advance(0.2)
        assert one.killed == 1
        self.assertNoResult(check)
        one.ends(9)
        self.failureResultOf(check, BodyTooLarge)
        assert self.checkers.given_up == 1
        self.successResultOf(waiting[0])
        two.says()
        self.successResultOf(waiting[1])
        self.begin()
        two.says()
        assert len(self.reactor.processes) == 2

    def test_a_process_that_dies_takes_its_body_with_it_and_another_one_goes_on(self) -> None:
        checks = [self.begin() for _ in range(3)]
        self.reactor.processes[0].ends(9)
        self.failureResultOf(checks[0], Overloaded)
        assert len(self.reactor.processes) == 3
        assert [message[0].get("at") for message in self.reactor.processes[2].messages] == [None, AT]
        self.reactor.processes[2].says()
        self.successResultOf(checks[2])
        self.reactor.processes[1].says()

    def test_an_idle_process_that_dies_is_forgotten(self) -> None:
        self.begin()
        self.reactor.processes[0].says()
        self.reactor.processes[0].ends(9)
        self.begin()
        assert len(self.reactor.processes) == 2
        self.reactor.processes[1].says()

    def test_stopping_ends_them_and_whoever_waits(self) -> None:
        checks = [self.begin() for _ in range(3)]
        self.reactor.processes[0].protocol.errReceived(b"Traceback")
        stopped = self.checkers.stopService()
        self.failureResultOf(checks[2], Overloaded)
        self.assertNoResult(stopped)
        for process in self.reactor.processes:
            assert process.killed == 1
            process.ends(9)
        self.successResultOf(stopped)
        for check in checks[:2]:
            self.failureResultOf(check, Overloaded)
        self.failureResultOf(self.begin(), Overloaded)

    def test_stopping_without_any_is_done_at_once(self) -> None:
        self.successResultOf(self.checkers.stopService())
