"""The reactor of a test leaves nothing open."""

import os

from twisted.internet.protocol import Factory

from scalability.net.reactor import LeanReactor
from scalability.net.transport import listen_tcp
from scalability.testing.lean_reactor import lean_reactor


def test_it_turns_and_leaves_nothing_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    called: list[int] = []
    with lean_reactor() as reactor:
        assert isinstance(reactor, LeanReactor)
        factory = Factory()
        factory.noisy = False
        listen_tcp(reactor, "127.0.0.1", 0, factory)
        reactor.callLater(0, called.append, 1)
        reactor.iterate(0)
    assert called == [1]
    assert len(os.listdir("/proc/self/fd")) == before
