"""Signals that ask for something, and end nobody."""

import os
import signal
from collections.abc import Callable

from twisted.internet.task import Clock

from scalability.lifecycle.signals import OnSignal


class Reactor(Clock):
    def callFromThread(self, call: Callable[[], None]) -> None:  # noqa: N802 - Twisted's name
        self.callLater(0, call)


def test_a_signal_is_heeded_in_a_turn_of_the_loop_and_what_stood_before_comes_back() -> None:
    reactor = Reactor()
    calls: list[float] = []
    before = signal.getsignal(signal.SIGHUP)
    service = OnSignal(reactor, signal.SIGHUP, lambda: calls.append(reactor.seconds()))
    service.startService()
    service.startService()
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        assert calls == []
        reactor.advance(0)
        assert calls == [0.0]
    finally:
        service.stopService()
    service.stopService()
    assert signal.getsignal(signal.SIGHUP) == before
