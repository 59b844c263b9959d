"""The lean reactor: installed where nothing else is, and as good as Twisted's."""

import subprocess
import sys

import pytest
from twisted.internet.epollreactor import EPollReactor

from scalability.net.reactor import LeanReactor
from scalability.testing.processes import environment

PROGRAM = """
import sys
{before}
from scalability.net.reactor import install
reactor = install()
assert install() is reactor
{after}
"""

SERVE = """
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.python import log
from scalability.net.transport import LeanServer, connect_tcp, listen_tcp

events = []
errors = []
log.addObserver(lambda event: errors.append(event["failure"].type.__name__) if event["isError"] else None)

class Echo(Protocol):
    def dataReceived(self, data):
        assert isinstance(self.transport, LeanServer)
        if data == b"fail":
            raise ZeroDivisionError
        self.transport.write(data)

    def connectionLost(self, reason):
        events.append("server lost " + reason.type.__name__)

class Ask(Protocol):
    def connectionMade(self):
        self.transport.write(b"hello")

    def dataReceived(self, data):
        events.append(data)
        self.transport.write(b"fail")

    def connectionLost(self, reason):
        reactor.callLater(0, reactor.stop)

server = Factory.forProtocol(Echo)
client = ClientFactory.forProtocol(Ask)
port = listen_tcp(reactor, "127.0.0.1", 0, server)
connect_tcp(reactor, "127.0.0.1", port.getHost().port, client)
reactor.callLater(10, reactor.stop)
reactor.run()
print(type(reactor).__name__, events, errors)
"""


def run(before: str = "", after: str = "print(type(reactor).__name__)") -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before, after=after)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_is_installed_where_no_reactor_is() -> None:
    assert run() == "LeanReactor"


@pytest.mark.parametrize("name", ["poll", "select", "asyncio"])
def test_a_reactor_that_the_user_named_stays(name: str) -> None:
    before = f"from twisted.internet import {name}reactor; {name}reactor.install()"
    assert run(before).lower().startswith(name)


@pytest.mark.parametrize("name", ["", "poll", "asyncio"])
def test_lean_transports_work_on_it_and_on_others_and_an_error_ends_one_connection_only(name: str) -> None:
    before = f"from twisted.internet import {name}reactor; {name}reactor.install()" if name else ""
    said = run(before, SERVE)
    assert said.endswith("[b'hello', 'server lost ZeroDivisionError'] ['ZeroDivisionError']"), said


def test_the_parts_of_twisted_that_it_rests_on_are_there() -> None:
    """A change in Twisted's internals must fail here, not at a user's."""
    assert LeanReactor.doIteration is LeanReactor.doPoll
    for name in ("_doReadOrWrite", "_disconnectSelectable", "doPoll"):
        assert callable(getattr(EPollReactor, name))
    reactor = EPollReactor()
    try:
        assert isinstance(reactor._selectables, dict)
        assert callable(reactor._poller.poll)
    finally:
        reactor._poller.close()
        for descriptor in reactor.waker.i, reactor.waker.o:
            if isinstance(descriptor, int):
                import os

                os.close(descriptor)
            else:
                descriptor.close()
