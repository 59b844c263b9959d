"""Signals that end nobody."""

import os
import signal
import threading
from collections.abc import Callable

from twisted.internet.task import Clock

from scalability.lifecycle.signals import IgnoredSignal, OnSignal


class Reactor(Clock):
    def callFromThread(self, call: Callable[[], None]) -> None:  # noqa: N802 - Twisted's name
        self.callLater(0, call)


def test_a_signal_is_ignored_while_the_service_runs() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    ignored = IgnoredSignal(signal.SIGUSR1)
    ignored.startService()
    ignored.startService()
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        ignored.stopService()
        ignored.stopService()
    assert signal.getsignal(signal.SIGUSR1) is before


def test_off_the_main_thread_it_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    ignored = IgnoredSignal(signal.SIGUSR1)
    thread = threading.Thread(target=ignored.startService)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGUSR1) is before
    ignored.stopService()
    assert signal.getsignal(signal.SIGUSR1) is before


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
    assert signal.getsignal(signal.SIGHUP) is before
