"""Servers that are nothing but numbers, and requests to them, for tests of selections."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from scalability.upstream.selection import Building, Selection, Tracking
from scalability.upstream.selection.ewma import Ewma


@dataclass(eq=False)
class FakeServer:
    """A Candidate."""

    name: str
    weight: int = 1
    share: float = 1.0
    active: int = 0
    latency: Ewma = field(default_factory=Ewma)

    @property
    def label(self) -> tuple[str, int, float]:
        """See Candidate."""
        return self.name, self.weight, self.share


def built(selection: Selection[FakeServer], servers: Sequence[FakeServer]) -> Selection[FakeServer]:
    """``selection`` among ``servers``, with all that it has to build."""
    selection.replace(servers)
    while isinstance(selection, Building) and selection.step():
        pass
    return selection


class Requests:
    """Requests in flight, of which the selection is told as ``Upstream`` tells it."""

    def __init__(self, selection: Selection[FakeServer]) -> None:
        self.selection = selection
        self._tracking = selection if isinstance(selection, Tracking) else None

    def begin(self, tried: Container[FakeServer] = (), key: bytes | None = None) -> FakeServer | None:
        """Choose, and send a request there."""
        server = self.selection.choose(tried, key)
        if server is not None:
            self.change(server, 1)
        return server

    def end(self, server: FakeServer) -> None:
        """One of its requests ends."""
        self.change(server, -1)

    def change(self, server: FakeServer, by: int) -> None:
        """A request begins (1) or ends (-1), whoever chose the server."""
        server.active += by
        if self._tracking is not None:
            self._tracking.active_changed(server, by)
