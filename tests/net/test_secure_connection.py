"""A connection under TLS, with the test as the handshake and what is beneath it. Real handshakes: test_tls."""

from typing import Any

import pytest
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from scalability.config import Address
from scalability.lifecycle import DeadlineWheel
from scalability.net.connection_pool import ConnectionPool
from scalability.net.secure_connection import SecureConnection
from scalability.testing.memory import MemoryNetwork
from scalability.testing.recorded_client import HEAD, OK, Asker


class Transport:
    """A TLS transport that remembers what it is told, and the one beneath it."""

    def __init__(self, beneath: "Transport | None" = None) -> None:
        self.transport = beneath
        self.told: list[Any] = []

    def write(self, data: bytes) -> None:
        self.told.append(data)

    def setTcpNoDelay(self, _enabled: bool) -> None: ...

    def registerProducer(self, _producer: Any, _streaming: bool) -> None: ...

    def unregisterProducer(self) -> None: ...

    def loseConnection(self) -> None:
        self.told.append("closed")

    def abortConnection(self) -> None:
        self.told.append("reset")


class Attempt:
    """The attempt that the connection comes from."""

    def __init__(self) -> None:
        self.outcomes: list[Any] = []

    def established(self, connection: Any) -> None:
        self.outcomes.append(connection)

    def handshake_failed(self, reason: Failure) -> None:
        self.outcomes.append(reason.type)


class Handshake:
    """A connection whose handshake has begun."""

    def __init__(self, preface: bytes = b"") -> None:
        network = MemoryNetwork()
        wheel = DeadlineWheel(network)
        wheel.startService()
        self.attempt = Attempt()
        self.beneath = Transport()
        self.tls = Transport(self.beneath)
        self.connection = SecureConnection(ConnectionPool(network, Address("10.0.0.1", 443), wheel), self.attempt)
        self.connection.preface = preface
        self.connection.makeConnection(self.tls)


def test_it_stands_only_after_the_handshake() -> None:
    handshake = Handshake()
    assert handshake.attempt.outcomes == []
    handshake.connection.handshakeCompleted()
    assert handshake.attempt.outcomes == [handshake.connection]
    asker = Asker()
    handshake.connection.send(HEAD, b"GET", asker)
    assert handshake.tls.told == [HEAD]
    handshake.connection.dataReceived(OK)
    assert asker.events == [("head", 200, b"hi", True)]


@pytest.mark.parametrize(("preface", "sent"), [(b"PROXY ", [b"PROXY "]), (b"", [])])
def test_its_preface_goes_out_beneath_tls_before_the_handshake_and_once(preface: bytes, sent: list[bytes]) -> None:
    handshake = Handshake(preface)
    assert (handshake.beneath.told, handshake.tls.told) == (sent, [])
    handshake.connection.handshakeCompleted()
    assert (handshake.beneath.told, handshake.tls.told) == (sent, [])


def test_its_attempt_is_told_when_it_is_lost_before_the_handshake_is_done_and_only_then() -> None:
    handshake = Handshake()
    handshake.connection.connectionLost(Failure(ConnectionLost()))
    assert handshake.attempt.outcomes == [ConnectionLost]
    handshake = Handshake()
    handshake.connection.handshakeCompleted()
    asker = Asker()
    handshake.connection.send(HEAD, b"GET", asker)
    handshake.connection.connectionLost(Failure(ConnectionLost()))
    assert handshake.attempt.outcomes == [handshake.connection]
    assert asker.events == [("failed", "no_answer")]


def test_a_handshake_that_is_given_up_is_a_reset_and_nobody_is_told() -> None:
    handshake = Handshake()
    handshake.connection.give_up_handshake()
    assert handshake.tls.told == ["reset"]
    handshake.connection.connectionLost(Failure(ConnectionLost()))
    assert handshake.attempt.outcomes == []
