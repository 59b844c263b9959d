"""Signals that end nobody."""

import os
import signal
import threading

from scalability.lifecycle.signals import IgnoredSignal


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
