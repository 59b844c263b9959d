"""One check on the wire: what is sent, what passes, and that nothing is left behind."""

import errno
from typing import Any

import pytest
from twisted.internet.error import ConnectError as TwistedConnectError

from scalability.config import Address
from scalability.lifecycle import DeadlineWheel
from scalability.net.connection_pool import ConnectionPool
from scalability.testing.memory import MemoryNetwork, MemoryTransport
from scalability.upstream.check import MAX_BODY_BYTES, Attempt, Finding, HTTPCheck, TCPCheck
from scalability.upstream.expected import BodyPattern, Statuses

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Scene:
    """A check of one server, and the test as that server."""

    def __init__(self, *, tcp: bool = False, preface: bytes = b"", **more: Any) -> None:
        self.network = MemoryNetwork()
        wheel = DeadlineWheel(self.network)
        self.pool = ConnectionPool(self.network, Address("10.0.0.1", 80), wheel, max_requests=1, preface=preface)
        self.check = TCPCheck(self.pool) if tcp else HTTPCheck(self.pool, "10.0.0.1:80", seconds=self.network.seconds, **more)
        self.findings: list[Finding] = []
        self.attempt: Attempt = self.begin()

    def begin(self) -> Attempt:
        return self.check.begin(self.findings.append)

    def answered(self, *pieces: bytes) -> Finding:
        """What is found when the server sends ``pieces``."""
        server = self.network.accept()
        for piece in pieces:
            server.deliver(piece)
        (found,) = self.findings
        self.network.advance(0)
        assert not server.open, "no check leaves a connection behind"
        return found


def test_a_server_is_asked_for_the_path_on_a_connection_of_its_own() -> None:
    scene = Scene()
    server = scene.network.accept()
    assert server.taken() == (
        b"GET /health HTTP/1.1\r\nHost: 10.0.0.1:80\r\nUser-Agent: scalelab-health-check\r\nConnection: close\r\n\r\n"
    )
    server.deliver(OK)
    assert scene.findings == [Finding(True, "the check was answered 200", 200)]
    assert server.ended == "closed", "although the server would have kept it"
    scene.begin()
    assert len(scene.network.attempts) == 1


def test_method_path_and_fields_are_as_one_likes() -> None:
    fields = [(b"host", b"shop.example"), (b"X-A", b"1"), (b"X-A", b"2"), (b"USER-AGENT", b"me")]
    scene = Scene(method=b"OPTIONS", path=b"/live?deep=1", fields=fields)
    sent = scene.network.accept().taken()
    assert sent == (
        b"OPTIONS /live?deep=1 HTTP/1.1\r\nConnection: close\r\nhost: shop.example\r\nX-A: 1\r\nX-A: 2\r\nUSER-AGENT: me\r\n\r\n"
    )


def test_a_post_says_that_it_has_no_body() -> None:
    assert b"\r\nContent-Length: 0\r\n" in Scene(method=b"POST").network.accept().taken()


def test_an_answer_to_head_has_no_body() -> None:
    assert Scene(method=b"HEAD").answered(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n").passed


@pytest.mark.parametrize(
    ("status", "passed"), [(200, True), (204, True), (302, True), (399, True), (400, False), (404, False), (503, False)]
)
def test_the_status_decides(status: int, passed: bool) -> None:
    found = Scene().answered(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
    assert found == Finding(passed, f"the check was answered {status}", status)


@pytest.mark.parametrize(("status", "passed"), [(200, True), (204, False), (401, True)])
def test_other_statuses_may_be_asked_for(status: int, passed: bool) -> None:
    found = Scene(statuses=Statuses.parse("200,401")).answered(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
    assert found.passed is passed


def test_interim_answers_decide_nothing() -> None:
    assert Scene().answered(b"HTTP/1.1 103 Early Hints\r\n\r\n", OK).passed


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n", b'{"status"', b': "ok"}\n'),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"sta\r\n', b'c\r\ntus": "ok"}\n\r\n0\r\n\r\n'),
    ],
)
def test_the_body_may_have_to_match_however_it_comes(pieces: tuple[bytes, ...]) -> None:
    assert Scene(body=BodyPattern.parse('"status": "ok"')).answered(*pieces).passed
    found = Scene(body=BodyPattern.parse('"status": "OK"')).answered(*pieces)
    assert found == Finding(False, 'the check was answered 200, but \'"status": "OK"\' is not in its body', 200)


def test_a_bad_status_fails_whatever_the_body_holds() -> None:
    answer = b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\nok"
    assert Scene(body=BodyPattern.parse("ok")).answered(answer) == Finding(False, "the check was answered 500", 500)


@pytest.mark.parametrize(("before", "passed"), [(MAX_BODY_BYTES - 2, True), (MAX_BODY_BYTES - 1, False)])
def test_an_answer_is_cut_off_beyond_256_kib(before: int, passed: bool) -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"
    scene = Scene(body=BodyPattern.parse("ok"))
    server = scene.network.accept()
    server.deliver(endless + b"." * before + b"ok" + b"." * 1000)
    assert [found.passed for found in scene.findings] == [passed]
    assert server.ended == "reset"


def test_an_endless_answer_passes_by_its_status() -> None:
    scene = Scene()
    server = scene.network.accept()
    server.deliver(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(5):
        assert scene.findings == []
        server.deliver(b"." * 60_000)
    assert scene.findings == [Finding(True, "the check was answered 200", 200)]
    assert server.ended == "reset"


def test_a_pattern_that_takes_too_long_fails_the_check_and_says_so() -> None:
    scene = Scene(body=BodyPattern.parse("ok"))
    assert isinstance(scene.check, HTTPCheck)
    times = iter(range(100))
    scene.check._seconds = lambda: float(next(times))
    found = scene.answered(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"." * 5000)
    assert found == Finding(False, "the check was answered 200, but to search its body of 5000 bytes for 'ok' takes too long", 200)


@pytest.mark.parametrize(
    ("answer", "code"),
    [(b"nonsense\r\n\r\n", "bad_answer"), (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "bad_answer")],
)
def test_what_the_traffic_would_trip_over_fails_a_check(answer: bytes, code: str) -> None:
    assert Scene().answered(answer) == Finding(False, f"the check failed: {code}")


@pytest.mark.parametrize(("sent", "code"), [(b"", "no_answer"), (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "broken_answer")])
def test_a_connection_that_ends_too_early_fails_it(sent: bytes, code: str) -> None:
    scene = Scene()
    server = scene.network.accept()
    server.deliver(sent)
    server.finish()
    assert scene.findings == [Finding(False, f"the check failed: {code}")]


@pytest.mark.parametrize("tcp", [True, False])
def test_a_refused_connection_fails_it(tcp: bool) -> None:
    scene = Scene(tcp=tcp)
    scene.network.refuse()
    assert scene.findings == [Finding(False, "the check failed: connect_failed", unreachable=True)]


@pytest.mark.parametrize("tcp", [True, False])
def test_want_of_our_own_means_says_nothing_about_the_server(tcp: bool) -> None:
    scene = Scene(tcp=tcp)
    scene.network.refuse(TwistedConnectError(errno.EMFILE, "Too many open files"))
    (found,) = scene.findings
    assert found.passed is None
    assert found.what.startswith("the check could not be made: ")


def test_a_bare_connection_passes_once_it_stands_and_is_closed_in_order() -> None:
    scene = Scene(tcp=True)
    assert scene.findings == []
    server = scene.network.accept()
    assert scene.findings == [Finding(True, "the check could connect")]
    assert (server.taken(), server.ended) == (b"", "closed")


@pytest.mark.parametrize("tcp", [True, False])
def test_a_check_introduces_itself_as_the_traffic_does(tcp: bool) -> None:
    server = Scene(tcp=tcp, preface=b"PROXY UNKNOWN\r\n").network.accept()
    assert server.taken().startswith(b"PROXY UNKNOWN\r\n")


def under_way(stage: str) -> tuple[Scene, MemoryTransport | None]:
    scene = Scene()
    if stage == "connecting":
        return scene, None
    server = scene.network.accept()
    if stage == "answering":
        server.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
    return scene, server


@pytest.mark.parametrize("stage", ["connecting", "asked", "answering"])
def test_a_check_that_is_given_up_ends_without_a_word(stage: str) -> None:
    scene, server = under_way(stage)
    scene.attempt.give_up()
    scene.attempt.give_up()
    scene.network.advance(0)
    assert scene.findings == []
    assert scene.network.attempts == []
    assert server is None or server.ended == "reset"


class ClosingConnection:
    """A connection whose server does not answer its close, as TLS wants it to."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")


def test_giving_up_after_the_end_closes_what_waits_for_the_server_to_close() -> None:
    scene = Scene(tcp=True)
    connection: Any = ClosingConnection()
    scene.attempt.connected(connection)
    assert connection.calls == ["close"]
    assert [found.passed for found in scene.findings] == [True]
    scene.attempt.give_up()
    assert connection.calls == ["close", "abort"]
    assert len(scene.findings) == 1


def test_a_server_that_is_checked_no_more_has_its_attempts_ended() -> None:
    scene = Scene()
    scene.check.close()
    assert scene.network.attempts == []
    assert [found.passed for found in scene.findings] == [False]
