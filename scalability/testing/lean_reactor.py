"""A lean reactor that is not installed: the test turns it, or runs it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from scalability.net.reactor import LeanReactor


@contextmanager
def lean_reactor() -> Iterator[Any]:
    """A new one; all that it watches is ended afterwards, and its descriptors are closed."""
    made: Any = LeanReactor()
    yield made
    for selectable in made.removeAll():
        selectable.connectionLost(Failure(ConnectionDone()))
    for descriptor in (made.waker.i, made.waker.o):
        if descriptor != -1:
            os.close(descriptor)
    made._poller.close()
