"""The reactor of every scalelab process."""

from typing import Any


def install() -> Any:
    """Return the global reactor, installed on the first call.

    Called in ``makeService``, before anything imports Klein (which imports the global reactor).
    """
    from twisted.internet import reactor

    return reactor
