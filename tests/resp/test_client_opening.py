"""How a connection comes to stand."""

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from scalability.config import Address
from scalability.errors import BadAnswer, CommandRefused, ConnectError, ConnectTimeout, DependencyDown, NoAnswer
from scalability.lifecycle import DeadlineWheel
from scalability.resp.client_connection import RespConnection
from scalability.resp.client_opening import Greeting, Opened, Opener, is_master
from scalability.testing.memory import MemoryNetwork
from scalability.testing.played_redis import HELLO, MASTER, NO_SUCH_COMMAND, OK, REPLICA, PlayedRedis

A, B = Address("192.0.2.1", 6379), Address("192.0.2.2", 6380)


class Nobody:
    def push_received(self, message: list[Any]) -> None: ...

    def connection_closed(self, connection: RespConnection, error: Exception) -> None: ...


class OpenerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()

    def opening(self, *servers: Address, greeting: Greeting | None = None) -> Deferred[Opened]:
        opener = Opener(self.network, self.wheel, servers or (A,), greeting or Greeting(), timeout_s=0.5, connect_timeout_s=1.0)
        return Deferred.fromCoroutine(opener.open_master(Nobody()))

    def accepted(self) -> PlayedRedis:
        return PlayedRedis(self.network.accept())

    def test_a_master_that_speaks_resp3_is_taken(self) -> None:
        opening = self.opening()
        server = self.accepted()
        assert server.greet() == [[b"HELLO", b"3", b"SETNAME", b"scalelab"], [b"ROLE"]]
        opened = self.successResultOf(opening)
        assert (opened.server, opened.resp3, opened.has_role) == (A, True, True)
        assert server.transport.no_delay

    def test_who_we_are_and_which_database_is_said_first(self) -> None:
        opening = self.opening(greeting=Greeting("me", "pw", 3))
        server = self.accepted()
        assert server.asked() == [[b"HELLO", b"3", b"AUTH", b"me", b"pw", b"SETNAME", b"scalelab"]]
        server.say(HELLO)
        assert server.asked() == [[b"SELECT", b"3"]]
        server.say(OK)
        assert server.asked() == [[b"ROLE"]]
        server.say(MASTER)
        self.successResultOf(opening)

    def test_the_default_user_has_its_name(self) -> None:
        self.opening(greeting=Greeting(password="pw"))
        assert self.accepted().asked() == [[b"HELLO", b"3", b"AUTH", b"default", b"pw", b"SETNAME", b"scalelab"]]

    def test_a_server_without_hello_is_met_in_resp2(self) -> None:
        for refusal in (NO_SUCH_COMMAND, b"-NOPROTO unsupported protocol version\r\n"):
            for greeting, auth in (
                (Greeting(), None),
                (Greeting("", "pw"), [b"AUTH", b"pw"]),
                (Greeting("me", "pw"), [b"AUTH", b"me", b"pw"]),
            ):
                opening = self.opening(greeting=greeting)
                server = self.accepted()
                server.asked()
                server.say(refusal)
                if auth is not None:
                    assert server.asked() == [auth]
                    server.say(OK)
                assert server.asked() == [[b"ROLE"]]
                server.say(MASTER)
                assert not self.successResultOf(opening).resp3

    def test_a_wrong_password_is_final_and_told_to_nobody(self) -> None:
        opening = self.opening(greeting=Greeting("me", "pw"))
        server = self.accepted()
        server.asked()
        server.say(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")
        error = self.failureResultOf(opening, CommandRefused).value
        assert error.kind == "WRONGPASS"
        assert server.transport.ended == "reset"
        assert "pw" not in repr(Greeting("me", "pw"))

    def test_a_server_that_tells_no_role_is_taken_and_one_that_loads_is_not(self) -> None:
        for refusal in (NO_SUCH_COMMAND, b"-NOPERM this user has no permissions\r\n"):
            opening = self.opening()
            self.accepted().greet(refusal)
            assert not self.successResultOf(opening).has_role
        opening = self.opening()
        self.accepted().greet(b"-LOADING Redis is loading the dataset in memory\r\n")
        self.failureResultOf(opening, CommandRefused)

    def test_of_several_the_first_master_is_taken(self) -> None:
        opening = self.opening(A, B)
        replica = self.accepted()
        replica.greet(REPLICA)
        self.network.advance(0)
        assert replica.transport.ended == "reset"
        self.accepted().greet()
        assert self.successResultOf(opening).server == B
        opening = self.opening(A, B)
        self.network.refuse()
        self.accepted().greet()
        assert self.successResultOf(opening).server == B

    def test_without_a_master_the_last_ones_reason_counts(self) -> None:
        opening = self.opening(A, B)
        self.accepted().greet(REPLICA)
        self.network.refuse()
        self.failureResultOf(opening, ConnectError)
        opening = self.opening(A)
        self.accepted().greet(REPLICA)
        self.failureResultOf(opening, DependencyDown)

    def test_each_server_has_its_time_to_accept_and_to_greet(self) -> None:
        opening = self.opening(A, B)
        self.network.pump([0.25] * 6)
        silent = self.accepted()
        assert silent.transport.getPeer().host == B.host
        self.network.pump([0.25] * 3)
        self.failureResultOf(opening)
        self.network.advance(0)
        assert silent.transport.ended == "reset"
        assert not self.network.attempts
        opening = self.opening(A)
        self.network.pump([0.25] * 6)
        self.failureResultOf(opening, ConnectTimeout)

    def test_a_server_that_is_none_fails_the_attempt(self) -> None:
        opening = self.opening()
        self.accepted().say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.failureResultOf(opening, BadAnswer)
        opening = self.opening()
        self.accepted().transport.finish()
        self.failureResultOf(opening, NoAnswer)

    def test_a_cancelled_attempt_leaves_nothing_behind(self) -> None:
        for accepted in (False, True):
            opening = self.opening(A, B)
            server = self.accepted() if accepted else None
            opening.cancel()
            self.failureResultOf(opening, CancelledError)
            self.network.advance(0)
            assert not self.network.attempts
            assert server is None or server.transport.ended == "reset"

    def test_a_name_is_looked_up_and_all_its_addresses_are_tried(self) -> None:
        self.network.names["valkey"] = ["192.0.2.8", "192.0.2.9"]
        opening = self.opening(Address("valkey", 1))
        self.network.advance(0)
        self.network.refuse()
        server = self.accepted()
        assert server.transport.getPeer().host == "192.0.2.9"
        server.greet()
        self.successResultOf(opening)
        opening = self.opening(Address("nowhere", 1))
        self.network.advance(0)
        self.failureResultOf(opening, ConnectError)


@pytest.mark.parametrize(("role", "master"), [([b"master", 0, []], True), ([b"slave", b"h", 1], False), ([], False), (b"master", False)])
def test_a_role_is_read(role: Any, master: bool) -> None:
    assert is_master(role) is master
