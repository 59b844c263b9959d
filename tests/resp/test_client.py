"""A connection that is kept open, and what becomes of calls while there is none."""

from typing import Any

from service_identity import VerificationError
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from scalability.config import Address
from scalability.errors import AnswerTimeout, CommandRefused, ConnectError, DependencyDown, NoAnswer, Overloaded, TLSFailed
from scalability.lifecycle import DeadlineWheel
from scalability.resp.client import RespClient, reason_of
from scalability.testing.memory import MemoryNetwork
from scalability.testing.played_redis import MASTER, NO_SUCH_COMMAND, REPLICA, PlayedRedis, invalidation


class ClientCase(SynchronousTestCase):
    """A client with a network in memory; the pause before its attempt number n is n seconds."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()
        self.client = RespClient(
            self.network,
            (Address("192.0.2.1", 6379), Address("192.0.2.2", 6379)),
            self.wheel,
            timeout_s=0.5,
            pause_s=lambda failures, _: float(failures),
            draw=lambda: 0.0,
            max_calls=5,
        )
        self.client.startService()

    def tearDown(self) -> None:
        self.client.stopService()
        self.wheel.stopService()

    def connected(self, role: bytes = MASTER) -> PlayedRedis:
        server = PlayedRedis(self.network.accept())
        server.greet(role)
        return server


class Listening:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def connected(self, client: RespClient) -> None:
        self.heard.append("connected")
        client.call("CLIENT", "TRACKING", "ON").addErrback(lambda _: None)

    def lost(self) -> None:
        self.heard.append("lost")

    def pushed(self, message: list[Any]) -> None:
        self.heard.append(list(message))


class RespClientTests(ClientCase):
    def test_calls_before_the_first_attempt_has_ended_wait_for_it(self) -> None:
        calls = [self.client.call("A"), self.client.pipeline(("B",), ("C",))]
        server = self.connected()
        assert server.asked() == [[b"A"], [b"B"], [b"C"]]
        server.say(b"+a\r\n+b\r\n+c\r\n")
        assert [self.successResultOf(call) for call in calls] == [b"a", [b"b", b"c"]]
        assert self.client.connected
        assert self.client.resp3

    def test_they_wait_no_longer_than_their_time_and_no_more_than_may(self) -> None:
        calls = [self.client.call("A") for _ in range(5)]
        self.failureResultOf(self.client.call("A"), Overloaded)
        calls[0].cancel()
        self.failureResultOf(calls[0], CancelledError)
        self.network.pump([0.25] * 4)
        for call in calls[1:]:
            self.failureResultOf(call, AnswerTimeout)
        assert self.connected().asked() == []

    def test_they_fail_with_the_attempt_and_the_next_ones_at_once(self) -> None:
        call = self.client.call("A")
        self.network.refuse()
        self.network.refuse()
        self.failureResultOf(call, DependencyDown)
        self.failureResultOf(self.client.call("A"), DependencyDown)
        self.failureResultOf(self.client.pipeline(("A",)), DependencyDown)

    def test_it_tries_again_and_again_with_pauses(self) -> None:
        for failures in (1, 2, 3):
            self.network.refuse()
            self.network.refuse()
            assert not self.network.attempts
            self.network.advance(failures - 0.01)
            assert not self.network.attempts
            self.network.advance(0.01)
            assert len(self.network.attempts) == 1
        self.connected()
        assert self.client.connected
        assert self.client.connects == 1

    def test_a_lost_connection_is_opened_anew_and_fails_its_calls(self) -> None:
        server = self.connected()
        call = self.client.call("A")
        server.transport.finish()
        self.failureResultOf(call, NoAnswer)
        self.failureResultOf(self.client.call("B"), DependencyDown)
        self.network.advance(1.0)
        server = self.connected()
        call = self.client.call("C")
        assert server.asked() == [[b"C"]]
        server.say(b"+c\r\n")
        assert self.successResultOf(call) == b"c"

    def test_a_listener_calls_first_and_hears_of_the_end_before_calls_fail(self) -> None:
        listening = self.client.listener = Listening()
        early = self.client.call("A")
        server = self.connected()
        assert server.asked() == [[b"CLIENT", b"TRACKING", b"ON"], [b"A"]]
        server.say(b"+OK\r\n" + invalidation(b"k"))
        early.addErrback(lambda failure: listening.heard.append(failure.type))
        server.transport.finish()
        assert listening.heard == ["connected", [b"invalidate", [b"k"]], "lost", NoAnswer]

    def test_a_quiet_connection_is_asked_its_role_and_left_when_it_does_not_answer(self) -> None:
        server = self.connected()
        self.network.advance(1.0)
        assert server.asked() == [[b"ROLE"]]
        server.say(MASTER)
        self.network.advance(1.0)
        assert server.asked() == [], "something came in this second"
        self.network.advance(1.0)
        assert server.asked() == [[b"ROLE"]]
        self.network.pump([0.25] * 3)
        assert not self.client.connected
        assert server.transport.ended == "reset"

    def test_a_server_without_roles_is_pinged(self) -> None:
        server = self.connected(NO_SUCH_COMMAND)
        self.network.advance(1.0)
        assert server.asked() == [[b"PING"]]
        server.say(b"+PONG\r\n")
        assert self.client.connected

    def test_a_master_that_became_a_replica_is_left_for_the_one_that_is_master_now(self) -> None:
        listening = self.client.listener = Listening()
        server = self.connected()
        server.say(b"+OK\r\n")
        self.network.pump([1.0, 1.0])
        assert server.asked()[-1] == [b"ROLE"]
        server.say(REPLICA)
        assert listening.heard == ["connected", "lost"]
        assert server.transport.ended == "reset"
        self.network.advance(1.0)
        self.connected(REPLICA)
        server = self.connected()
        assert server.transport.getPeer().host == "192.0.2.2"
        assert self.client.connected

    def test_a_refused_write_does_the_same(self) -> None:
        server = self.connected()
        call = self.client.call("SET", "k", 1)
        server.say(b"-READONLY You can't write against a read only replica.\r\n")
        self.failureResultOf(call)
        assert not self.client.connected

    def test_stopping_ends_whatever_is_under_way(self) -> None:
        call = self.client.call("A")
        self.client.stopService()
        self.failureResultOf(call, DependencyDown)
        assert not self.network.attempts
        self.client.startService()
        server = self.connected()
        call = self.client.call("A")
        self.client.stopService()
        self.failureResultOf(call, DependencyDown)
        assert server.transport.ended == "reset"
        self.client.stopService()
        self.client.startService()
        self.network.refuse()
        self.network.refuse()
        self.client.stopService()
        self.network.advance(10)
        assert not self.network.attempts


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_the_log_says_why_in_words_that_help() -> None:
    assert reason_of(CommandRefused(reply="WRONGPASS invalid password")) == "WRONGPASS invalid password"
    assert reason_of(caused(TLSFailed(), VerificationError([]))) == "its certificate is for another name"
    assert "refused by the kernel" in reason_of(caused(ConnectError(), OSError("refused by the kernel")))
    assert reason_of(DependencyDown("the server is a replica now")) == "the server is a replica now"
