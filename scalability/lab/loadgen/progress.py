"""Live progress: one line that is rewritten in a terminal, plain lines elsewhere."""

from typing import TextIO

from scalability.lab.loadgen.recorder import Second
from scalability.lab.loadgen.report import progress
from scalability.lab.loadgen.run import Measured

PLAIN_EVERY = 5
"""Seconds between plain lines: a log wants to know that it goes on, not how every second went."""


class Progress:
    """Call ``turned`` with each second, ``end`` before the summary."""

    def __init__(self, out: TextIO, measured: Measured) -> None:
        self._out = out
        self._terminal = out.isatty()
        self._measured = measured
        self._turns = 0
        self._width = 0

    def turned(self, second: Second) -> None:
        self._turns += 1
        line = progress(second, self._measured)
        if self._terminal:
            self._out.write(f"\r{line.ljust(self._width)}")
            self._out.flush()
            self._width = len(line)
        elif self._turns % PLAIN_EVERY == 0:
            self._out.write(line + "\n")
            self._out.flush()

    def end(self) -> None:
        """Wipe the live line away."""
        if self._width:
            self._out.write("\r" + " " * (self._width + len("^C")) + "\r")  # a terminal shows the Ctrl-C that ended us
            self._out.flush()
            self._width = 0
