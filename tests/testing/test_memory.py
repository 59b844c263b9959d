"""The network in memory."""

from typing import Any

from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from scalability.testing.memory import MemoryNetwork, MemoryTransport


class Peer(Protocol):
    transport: Any

    def __init__(self) -> None:
        self.got = b""
        self.events: list[str] = []

    def dataReceived(self, data: bytes) -> None:
        self.got += data

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self.events.append(type(reason.value).__name__)

    def pauseProducing(self) -> None:
        self.events.append("pause")

    def resumeProducing(self) -> None:
        self.events.append("resume")

    def stopProducing(self) -> None:
        self.events.append("stop")


def connected() -> tuple[MemoryNetwork, MemoryTransport, Peer]:
    network = MemoryNetwork()
    transport = network.connect_to(Factory.forProtocol(Peer))
    return network, transport, transport.protocol


def test_it_is_a_transport() -> None:
    _, transport, _ = connected()
    assert verifyObject(ITCPTransport, transport)
    assert verifyObject(IPushProducer, transport)
    assert transport.getPeer().host == "192.0.2.1"
    assert transport.getHost().port == 80
    transport.setTcpKeepAlive(True)
    transport.setTcpNoDelay(True)
    assert transport.getTcpNoDelay()
    assert not transport.getTcpKeepAlive()


def test_bytes_go_both_ways() -> None:
    _, transport, peer = connected()
    transport.deliver(b"in")
    peer.transport.writeSequence([b"o", b"ut"])
    assert (peer.got, transport.taken(), transport.taken()) == (b"in", b"out", b"")


def test_what_arrives_while_reading_is_paused_waits() -> None:
    network, transport, peer = connected()
    peer.transport.pauseProducing()
    transport.deliver(b"a")
    transport.deliver(b"b")
    assert peer.got == b""
    peer.transport.resumeProducing()
    assert peer.got == b""
    network.advance(0)
    assert peer.got == b"ab"


def test_a_producer_is_paused_above_64_kib_and_resumed_when_all_is_taken() -> None:
    _, transport, peer = connected()
    peer.transport.registerProducer(peer, True)
    transport.stop_taking()
    peer.transport.write(bytes(65536))
    assert peer.events == []
    peer.transport.write(b"!")
    assert (peer.events, transport.queued_bytes) == (["pause"], 65537)
    transport.take_all()
    assert peer.events == ["pause", "resume"]


def test_a_close_waits_until_all_is_taken_and_is_told_a_turn_later() -> None:
    network, transport, peer = connected()
    transport.stop_taking()
    peer.transport.write(b"last")
    peer.transport.loseConnection()
    network.advance(0)
    assert (transport.ended, peer.events) == ("", [])
    transport.take_all()
    assert (transport.ended, transport.taken(), peer.events) == ("closed", b"last", [])
    network.advance(0)
    assert peer.events == ["ConnectionDone"]


def test_a_reset_from_either_side_ends_it_once() -> None:
    network, transport, peer = connected()
    peer.transport.registerProducer(peer, True)
    peer.transport.abortConnection()
    transport.reset()
    network.advance(0)
    assert (transport.ended, peer.events) == ("reset", ["stop", "ConnectionLost"])


def test_a_fin_ends_a_protocol_that_knows_no_half_close() -> None:
    _, transport, peer = connected()
    transport.finish()
    assert peer.events == ["ConnectionDone"]


def test_attempts_are_accepted_or_refused_in_order() -> None:
    network = MemoryNetwork()
    failures: list[str] = []

    class Attempt(ClientFactory):
        protocol = Peer

        def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
            failures.append(type(reason.value).__name__)

    network.connectTCP("10.0.0.1", 1, Attempt())
    network.connectTCP("10.0.0.2", 2, Attempt())
    third = network.connectTCP("10.0.0.3", 3, Attempt())
    network.refuse()
    accepted = network.accept()
    assert accepted.getPeer().host == "10.0.0.2"
    third.stopConnecting()
    assert failures == ["ConnectionRefusedError", "UserError"]
    assert network.attempts == []


def test_names_resolve_as_the_test_says() -> None:
    network = MemoryNetwork()
    network.names["gateway"] = ["10.0.0.1", "10.0.0.2"]
    seen: list[str] = []

    class Receiver:
        def resolutionBegan(self, resolution: Any) -> None:
            seen.append("began")

        def addressResolved(self, address: Any) -> None:
            seen.append(address.host)

        def resolutionComplete(self) -> None:
            seen.append("complete")

    network.nameResolver.resolveHostName(Receiver(), "gateway", 80)
    network.advance(0)
    assert seen == ["began", "10.0.0.1", "10.0.0.2", "complete"]
