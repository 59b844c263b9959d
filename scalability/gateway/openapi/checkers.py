"""Bodies that take milliseconds to check are checked in other processes, so that the event loop never waits for one.

Threads would not do: reading JSON and jsonschema-rs hold the interpreter's lock, for 5 ms at a time and longer.
"""

import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from scalability.errors import BodyTooLarge
from scalability.gateway.openapi.bodies import Verdict
from scalability.gateway.openapi.checker import frame
from scalability.gateway.openapi.document import Document
from scalability.gateway.openapi.schemas import SchemaCheck
from scalability.lifecycle.process_pool import PooledProcess, ProcessPool

COMMAND: Final = (sys.executable, "-P", "-m", "scalability.gateway.openapi.checker")
SIZE: Final = 2
"""Processes at most, of 20 MB each, started when they are first needed."""
MAX_WAITING: Final = 100
"""Bodies; who comes then is answered 503."""
TIMEOUT_S: Final = 10.0
"""For one check, the start of the process included. A body for which that is not enough is answered 413."""


class Checkers(ProcessPool):
    """At most ``size`` processes, at most ``max_waiting`` bodies in line. One for all routes of a gateway."""

    log = Logger()

    full = "too many bodies are being checked; try again later"
    interrupted = "the check was interrupted"

    def __init__(
        self,
        reactor: Any,
        *,
        size: int = SIZE,
        max_waiting: int = MAX_WAITING,
        timeout_s: float = TIMEOUT_S,
        command: Sequence[str] = COMMAND,
    ) -> None:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        super().__init__(reactor, command, work="checks bodies", size=size, max_waiting=max_waiting, timeout_s=timeout_s, env=env)
        self._documents: dict[int, tuple[int, Document]] = {}

    def check(self, check: SchemaCheck, body: bytes, max_nesting: int) -> Deferred[Verdict]:
        """The verdict on ``body``, as ``bodies.judged`` has it. Cancelling takes it out of the line.

        Fails with Overloaded, or with BodyTooLarge for a body that takes too long.
        """

        def ask(process: PooledProcess) -> None:
            number = self._number_of(check.document)
            if number not in process.told:
                process.told.add(number)
                process.write(frame({"document": number}, msgspec.json.encode(check.document.root)))
            process.write(frame({"document": number, "at": check.at, "max_nesting": max_nesting}, body))

        return self.ask(ask).addCallback(partial(msgspec.json.decode, type=Verdict))

    def too_late(self) -> BodyTooLarge:
        return BodyTooLarge("The body takes too long to check.")

    def _number_of(self, document: Document) -> int:
        """What it is called in messages."""
        return self._documents.setdefault(id(document), (len(self._documents), document))[0]
