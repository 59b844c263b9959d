"""The servers whose breakers are open, which are to be tried again when they have cooled."""

from scalability.upstream import breaker
from scalability.upstream.server import Server

_OPEN = breaker.State.OPEN


class OpenBreakers:
    """A ``membership.Watcher``: servers that have left are none of them, until they come back."""

    def __init__(self) -> None:
        self._open: set[Server] = set()

    def joined(self, server: Server) -> None:
        """One that comes back before its last request has ended has kept its breaker."""
        if server.breaker.state is _OPEN:
            self._open.add(server)

    def left(self, server: Server) -> None:
        self._open.discard(server)

    def changed(self, server: Server) -> None:
        """The breaker of ``server`` opened, closed, or may be tried."""
        if server.breaker.state is _OPEN and not server.removed:
            self._open.add(server)
        else:
            self._open.discard(server)

    def cooled(self, now: float) -> list[Server]:
        """Those whose time is over at ``now``, in seconds: their breakers may be tried from now on. ``changed`` is to follow for each."""
        return [server for server in self._open if server.breaker.cooled(now)]
