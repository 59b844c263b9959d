"""A change of the configuration that replaces every server leaves no gap: make before break.

New servers take traffic after their first passed check, and those of a name once it is resolved. Until one of them does, the servers
that took traffic before go on, although nobody names them any more.
"""

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from scalability.upstream.server import Mode, Server
from scalability.upstream.servers import Upstream

SOURCE = "handover"
"""What names the servers that go on."""


class Handover(Service):
    """Names those servers of ``upstream`` from ``begin`` on; ``settle`` lets them go, now or as soon as another one takes traffic."""

    log = Logger()

    def __init__(self, clock: IReactorTime, upstream: Upstream) -> None:
        self._clock = clock
        self._upstream = upstream
        self._held = False
        self._ending: IDelayedCall | None = None
        upstream.when_changed(self._changed)

    def begin(self) -> None:
        """Whatever is named no more from now on goes on, if it takes traffic."""
        self._cancel()
        self._held = False
        self._upstream.name_servers(SOURCE, [server.spec for server in self._upstream if _serves(server)], trusted=False)

    def settle(self) -> None:
        """The change is made."""
        held = [server for server in self._upstream if self._upstream.sources_of(server) == [SOURCE]]
        if not held or self._replaced():
            self._upstream.withdraw(SOURCE)
            return
        self._held = True
        self.log.info(
            "{servers} go on, although they are named no more, until another server takes traffic",
            servers=" ".join(server.name for server in held[:10]) + (f" and {len(held) - 10} more" if len(held) > 10 else ""),
        )

    def stopService(self) -> None:
        super().stopService()
        self._cancel()

    def _replaced(self) -> bool:
        """Whether a server that is named otherwise takes traffic."""
        return any(_serves(server) and self._upstream.sources_of(server) != [SOURCE] for server in self._upstream)

    def _changed(self) -> None:
        # not at once: the servers are being chosen from anew just now
        if self._held and self._ending is None and self._replaced():
            self._ending = self._clock.callLater(0, self._end)

    def _end(self) -> None:
        self._ending = None
        if self._held and self._replaced():
            self._held = False
            self._upstream.withdraw(SOURCE)

    def _cancel(self) -> None:
        ending, self._ending = self._ending, None
        if ending is not None:
            ending.cancel()


def _serves(server: Server) -> bool:
    return server.health.state.usable and server.weight > 0 and server.mode is Mode.READY
