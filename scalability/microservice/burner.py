"""Processor time, burnt in processes of their own.

A thread would burn it too, but while it does it holds the interpreter's lock for 5 ms at a time, and so would each of its
neighbours: with a few of them ``/health`` takes as long as the work. A process costs the event loop nothing, and
several use several processors. Each reads a number of seconds from its standard input, burns that much processor time and says so.
"""

import sys
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from scalability.lifecycle.process_pool import ProcessPool

PROGRAM = """\
import signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
for line in sys.stdin:
    end = time.process_time() + float(line)
    while time.process_time() < end:
        pass
    print("done", flush=True)
"""
COMMAND = (sys.executable, "-I", "-S", "-c", PROGRAM)
"""Isolated and without site packages: it starts in 15 ms and needs 8 MB."""


class Burners(ProcessPool):
    """At most ``size`` processes that burn, at most ``max_waiting`` jobs in line for them."""

    log = Logger()

    def __init__(self, reactor: Any, size: int, max_waiting: int, *, command: Sequence[str] = COMMAND) -> None:
        super().__init__(reactor, command, work="burns processor time", size=size, max_waiting=max_waiting)

    def burn(self, seconds: float) -> Deferred[None]:
        """Fires when a processor has worked ``seconds`` for this. See ``ProcessPool.ask``."""
        return self.ask(lambda process: process.write(b"%f\n" % seconds)).addCallback(lambda _: None)
