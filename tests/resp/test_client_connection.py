"""One connection: calls in, replies out, in order and in time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import AnswerTimeout, BadAnswer, CommandRefused, DependencyDown, NoAnswer, Overloaded, ScalelabError
from scalability.lifecycle import DeadlineWheel
from scalability.resp import client_connection
from scalability.resp.client_connection import RespConnection
from scalability.testing.memory import MemoryNetwork
from scalability.testing.played_redis import OK, PlayedRedis, bulk, invalidation


class Hearing:
    def __init__(self) -> None:
        self.pushed: list[Any] = []
        self.closed: list[ScalelabError] = []

    def push_received(self, message: list[Any]) -> None:
        self.pushed.append(message)

    def connection_closed(self, connection: RespConnection, error: ScalelabError) -> None:
        self.closed.append(error)


class Connected:
    """A connection to a played server."""

    def __init__(self, **more: Any) -> None:
        self.network = MemoryNetwork()
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()
        self.owner = Hearing()
        self.connection = RespConnection(self.network, self.wheel, self.owner, timeout_s=0.5, **more)
        connection = self.connection

        class Factory(ClientFactory):
            def buildProtocol(self, addr: object) -> Any:
                return connection

        self.network.connectTCP("192.0.2.1", 6379, Factory())
        self.server = PlayedRedis(self.network.accept())


class RespConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.here = Connected()
        self.connection, self.server = self.here.connection, self.here.server

    def test_calls_of_one_turn_are_one_write_and_answered_in_order(self) -> None:
        calls = [self.connection.call("GET", b"k\xff", 1, 2.5), self.connection.call("PING")]
        assert self.server.transport.writes == 0
        assert self.server.asked() == [[b"GET", b"k\xff", b"1", b"2.5"], [b"PING"]]
        assert self.server.transport.writes == 1
        assert self.connection.waiting == 2
        self.server.say(b"$1\r\nv\r\n+PONG\r\n")
        assert [self.successResultOf(call) for call in calls] == [b"v", b"PONG"]
        assert self.connection.waiting == 0

    def test_every_type_of_reply_is_a_value(self) -> None:
        sent = (
            b":1\r\n",
            b"$-1\r\n",
            b"_\r\n",
            b"#f\r\n",
            b"#t\r\n",
            b",1.5\r\n",
            b"*2\r\n:1\r\n*0\r\n",
            b"%1\r\n+a\r\n:1\r\n",
            b"$0\r\n\r\n",
        )
        values = [1, None, None, False, True, 1.5, [1, []], {b"a": 1}, b""]
        for data, value in zip(sent, values, strict=True):
            call = self.connection.call("X")
            self.server.say(data)
            assert self.successResultOf(call) == value

    def test_an_error_fails_its_call_and_no_other(self) -> None:
        bad, good = self.connection.call("LPUSH", "k", 1), self.connection.call("PING")
        self.server.say(b"-WRONGTYPE Operation against a key\r\n+PONG\r\n")
        error = self.failureResultOf(bad, CommandRefused).value
        assert (error.kind, error.reply) == ("WRONGTYPE", "WRONGTYPE Operation against a key")
        assert "WRONGTYPE" not in str(error)
        assert self.successResultOf(good) == b"PONG"

    def test_a_pipeline_has_all_replies_with_errors_in_their_places(self) -> None:
        before, pipeline, after = (
            self.connection.call("A"),
            self.connection.pipeline(("GET", "k"), ("PTTL", "k"), ("EXEC",)),
            self.connection.call("B"),
        )
        self.server.say(b"+a\r\n$1\r\nv\r\n-ERR no\r\n")
        self.assertNoResult(pipeline)
        self.server.say(b"*2\r\n+OK\r\n-ERR within\r\n+b\r\n")
        assert self.successResultOf(before) == b"a"
        value, refused, within = self.successResultOf(pipeline)
        assert value == b"v"
        assert isinstance(refused, CommandRefused)
        assert within[0] == b"OK"
        assert within[1].reply == "ERR within"
        assert self.successResultOf(after) == b"b"

    def test_a_pipeline_of_nothing_is_answered_at_once(self) -> None:
        assert self.successResultOf(self.connection.pipeline()) == []
        assert self.connection.waiting == 0

    def test_a_push_between_replies_is_the_owners(self) -> None:
        pipeline = self.connection.pipeline(("GET", "k"), ("PTTL", "k"))
        self.server.say(b"$1\r\nv\r\n" + invalidation(b"k") + b":100\r\n" + invalidation())
        assert self.successResultOf(pipeline) == [b"v", 100]
        assert [list(message) for message in self.here.owner.pushed] == [[b"invalidate", [b"k"]], [b"invalidate", None]]

    def test_a_call_without_a_reply_in_time_closes_the_connection(self) -> None:
        first = self.connection.call("A")
        self.here.network.pump([0.25] * 2)
        second = self.connection.call("B")
        self.server.say(b"+a\r\n")
        self.successResultOf(first)
        self.here.network.pump([0.25] * 2)
        self.assertNoResult(second)
        third = self.connection.call("C")
        self.here.network.pump([0.25] * 2)
        self.failureResultOf(second, AnswerTimeout)
        self.failureResultOf(third, AnswerTimeout)
        assert self.server.transport.ended == "reset"
        assert [type(error) for error in self.here.owner.closed] == [AnswerTimeout]
        self.failureResultOf(self.connection.call("D"), DependencyDown)

    def test_a_cancelled_call_is_still_owed_its_reply(self) -> None:
        first, second = self.connection.call("A"), self.connection.call("B")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.server.say(b"+a\r\n+b\r\n")
        assert self.successResultOf(second) == b"b"

    def test_nothing_waits_for_ever_after_a_quiet_time(self) -> None:
        self.server.say(b"")
        call = self.connection.call("A")
        self.server.say(OK)
        self.successResultOf(call)
        self.here.network.pump([0.25] * 20)
        assert self.here.owner.closed == []

    def test_a_lost_connection_fails_its_calls_after_its_owner_knows(self) -> None:
        order: list[str] = []
        self.here.owner.connection_closed = lambda *_: order.append("owner")  # type: ignore[method-assign]
        call = self.connection.call("A")

        def failed(failure: Failure) -> None:
            assert failure.type is not None
            order.append(failure.type.__name__)

        call.addErrback(failed)
        self.server.transport.finish()
        assert order == ["owner", "NoAnswer"]

    def test_its_own_close_is_not_told_to_the_owner(self) -> None:
        call = self.connection.call("A")
        self.connection.close()
        self.connection.close()
        self.here.network.advance(0)
        self.failureResultOf(call, DependencyDown)
        assert self.here.owner.closed == []
        self.server.say(b"+late\r\n")

    def test_what_is_no_resp_and_what_was_not_asked_end_the_connection(self) -> None:
        for asked, data in (
            (1, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            (0, b"+unasked\r\n"),
            (1, b"*-5\r\n"),
            (1, b"$-7\r\n"),
            (1, b":x\r\n"),
            (1, b"*2000000000\r\n"),
            (1, b"%9999999\r\n"),
        ):
            here = Connected()
            calls = [here.connection.call("A") for _ in range(asked)]
            here.server.say(data)
            for call in calls:
                self.failureResultOf(call, BadAnswer)
            assert [type(error) for error in here.owner.closed] == [BadAnswer], data
            here.network.advance(0)

    def test_a_replica_that_refuses_a_write_is_left(self) -> None:
        write, read = self.connection.call("SET", "k", 1), self.connection.call("GET", "k")
        self.server.say(b"-READONLY You can't write against a read only replica.\r\n")
        self.failureResultOf(write, CommandRefused)
        self.failureResultOf(read, CommandRefused)
        assert [error.code for error in self.here.owner.closed] == ["command_refused"]
        assert self.server.transport.ended == "reset"

    def test_calls_are_bounded_in_number_and_bytes(self) -> None:
        here = Connected(max_calls=3)
        calls = [here.connection.call("A") for _ in range(4)]
        self.failureResultOf(calls.pop(), Overloaded)
        here.server.say(b"+a\r\n")
        self.successResultOf(calls[0])
        self.assertNoResult(here.connection.call("A"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(client_connection, "MAX_CALLS_BYTES", 100)
            self.failureResultOf(self.connection.call("SET", "k", b"x" * 100), Overloaded)

    def test_a_reply_is_bounded(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(client_connection, "MAX_REPLY_BYTES", 1000)
            for _ in range(5):
                call = self.connection.call("A")
                self.server.say(bulk(b"x" * 500))
                assert len(self.successResultOf(call)) == 500
            call = self.connection.call("A")
            self.server.say(b"$5000\r\n" + b"x" * 1200)
            self.failureResultOf(call, BadAnswer)

    def test_a_callback_that_closes_ends_the_reading(self) -> None:
        first, second = self.connection.call("A"), self.connection.call("B")
        first.addCallback(lambda _: self.connection.close())
        self.server.say(b"+a\r\n+b\r\n")
        self.successResultOf(first)
        self.failureResultOf(second, DependencyDown)


@given(st.data())
def test_replies_may_be_cut_anywhere(data: st.DataObject) -> None:
    here = Connected()
    got: list[Any] = []
    for _ in range(3):
        here.connection.call("A").addBoth(got.append)
    here.connection.pipeline(("B",), ("C",)).addBoth(got.append)
    stream = b"$3\r\na\r\n\r\n" + invalidation(b"k") + b"*2\r\n:1\r\n$-1\r\n" + b"%1\r\n+x\r\n#f\r\n" + b"+b\r\n_\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        if start < end:
            here.server.say(stream[start:end])
    assert got == [b"a\r\n", [1, None], {b"x": False}, [b"b", None]]
    assert here.owner.pushed == [[b"invalidate", [b"k"]]]


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=6))
def test_any_bytes_end_in_replies_or_in_one_closed_connection(chunks: list[bytes]) -> None:
    here = Connected()
    ended: list[Any] = []
    calls: list[Deferred[Any]] = [here.connection.call("A") for _ in range(3)]
    for call in calls:
        call.addBoth(ended.append)
    for chunk in chunks:
        here.server.say(chunk)
    here.network.pump([0.25] * 5)
    assert len(ended) == 3
    assert all(isinstance(error, NoAnswer | BadAnswer | AnswerTimeout | CommandRefused) for error in here.owner.closed)
