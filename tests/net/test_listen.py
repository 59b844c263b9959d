"""Listeners: where they listen, what they say when they cannot, how they stop."""

import errno
import os
import socket
from typing import Any

import pytest
import pytest_twisted
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactorClock

from scalability.config import Address
from scalability.net.listen import Drains, Listener, SharedSocket


class Draining(Factory):
    """A factory that drains when it is told to."""

    noisy = False
    protocol = Protocol

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.drained: Deferred[None] = Deferred()

    def drain(self, grace_s: float) -> Deferred[None]:
        self.asked.append(grace_s)
        return self.drained


def quiet() -> Any:
    factory = Factory.forProtocol(Protocol)
    factory.noisy = False
    return factory


class Deaf(MemoryReactorClock):
    """A reactor that cannot listen."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self._error = error

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        raise CannotListenError(interface, port, self._error)


@pytest_twisted.ensureDeferred
async def test_it_binds_before_rights_are_given_up_and_says_where() -> None:
    from twisted.internet import reactor

    listener = Listener(reactor, Address("127.0.0.1", 0), quiet(), who="scalelab-test")
    listener.privilegedStartService()
    assert listener.address.port
    socket.create_connection(("127.0.0.1", listener.address.port)).close()
    listener.startService()
    port = listener.address.port
    await listener.stopService()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


@pytest_twisted.ensureDeferred
async def test_a_taken_port_ends_the_process_with_one_line() -> None:
    from twisted.internet import reactor

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listener = Listener(reactor, Address("127.0.0.1", port), quiet(), who="scalelab-test", flag="--admin")
        with pytest.raises(SystemExit) as ended:
            listener.privilegedStartService()
    said = str(ended.value)
    assert said == (
        f"scalelab-test: cannot listen on 127.0.0.1:{port}: Address already in use; is it running already?; --admin names another address"
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied; ports below 1024 need a privilege"),
        (OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"), "address; no interface of this machine has it"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known; --listen names"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(error: OSError, said: str) -> None:
    listener = Listener(Deaf(error), Address("example", 80), quiet(), who="scalelab-test")
    with pytest.raises(SystemExit, match=r"^scalelab-test: cannot listen on example:80: ") as ended:
        listener.startService()
    assert said in str(ended.value)
    assert "\n" not in str(ended.value)


@pytest_twisted.ensureDeferred
async def test_stopping_waits_for_the_factory_to_drain() -> None:
    from twisted.internet import reactor

    factory = Draining()
    assert isinstance(factory, Drains)
    listener = Listener(reactor, Address("127.0.0.1", 0), factory, who="scalelab-test", grace_s=7.0)
    root = MultiService()
    listener.setServiceParent(root)
    root.privilegedStartService()
    root.startService()
    stopping = listener.stopService()
    await deferLater(reactor, 0.02)
    assert factory.asked == [7.0]
    assert not stopping.called
    factory.drained.callback(None)
    await stopping


@pytest_twisted.ensureDeferred
async def test_stopping_before_starting_or_twice_is_harmless() -> None:
    from twisted.internet import reactor

    listener = Listener(reactor, Address("127.0.0.1", 0), quiet(), who="scalelab-test")
    await listener.stopService()
    listener.startService()
    await listener.stopService()
    await listener.stopService()


@pytest_twisted.ensureDeferred
async def test_listeners_that_inherit_one_socket_share_its_connections_until_the_last_of_them_stops() -> None:
    from twisted.internet import reactor

    shared = SharedSocket(Address("127.0.0.1", 0), who="scalelab-test")
    shared.open()
    shared.open()
    port = shared.address.port
    factories = [quiet(), quiet()]
    accepted = [0, 0]
    for index, factory in enumerate(factories):

        def build(addr: object, index: int = index) -> Protocol:
            accepted[index] += 1
            return Protocol()

        factory.buildProtocol = build
    listeners = [
        Listener(reactor, shared.address, factory, who="scalelab-test", descriptor=os.dup(shared.descriptor)) for factory in factories
    ]
    for listener in listeners:
        listener.privilegedStartService()
        listener.startService()
    shared.close()
    shared.close()
    for _ in range(2):
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        await deferLater(reactor, 0.1)
        for client in clients:
            client.close()
    assert sum(accepted) == 8
    assert min(accepted) > 0
    await listeners[0].stopService()
    socket.create_connection(("127.0.0.1", port)).close()
    await deferLater(reactor, 0.02)
    assert accepted[1] >= 1
    await listeners[1].stopService()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_shared_socket_says_where_it_listens_and_which_flag_names_another_address(capsys: pytest.CaptureFixture[str]) -> None:
    first = SharedSocket(Address("127.0.0.1", 0), who="scalelab-test")
    first.open()
    first.announce()
    try:
        second = SharedSocket(first.address, who="scalelab-test", flag="--tls-listen")
        with pytest.raises(SystemExit) as ended:
            second.open()
        assert str(ended.value).startswith(f"scalelab-test: cannot listen on {first.address}: ")
        assert "--tls-listen names another address" in str(ended.value)
    finally:
        first.close()


def test_a_reactor_without_descriptors_adopts_the_socket_in_its_own_way() -> None:
    adopted: list[tuple[int, int, Any]] = []

    class Adopting(MemoryReactorClock):
        def adoptStreamPort(self, descriptor: int, family: int, factory: Any) -> Any:  # noqa: N802 - Twisted's name
            adopted.append((descriptor, family, factory))

    shared = SharedSocket(Address("127.0.0.1", 0), who="scalelab-test")
    shared.open()
    factory = quiet()
    descriptor = os.dup(shared.descriptor)
    Listener(Adopting(), shared.address, factory, who="scalelab-test", descriptor=descriptor).startService()
    shared.close()
    assert adopted == [(descriptor, socket.AF_INET, factory)]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
