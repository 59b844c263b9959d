"""The lean reactor: Twisted's epoll reactor with a shorter way from an event to a lean transport.

Twisted wraps every event in a logging context, looks at the descriptor again, and only then calls ``doRead``.
For the transports of ``net.transport`` and on a plain EPOLLIN this reactor calls ``doRead`` directly: an error is logged
all the same and the connection dropped all the same. Every other event and every other selectable takes Twisted's own way.
With the lean transports this took a proxied request from 18.7 to 13.9 us of CPU; everything works without it, only slower.

What has begun is finished before more is begun: of those who connected to us, at most ``CLIENTS_IN_TURN`` are heard in one turn of the
loop, in the order in which they spoke, while all that others answer us is heard at once. So a thousand clients that all ask at once are
some thirty requests at work, on connections and in memory that the processor's caches still hold, instead of a thousand that
each wait for all others in every phase. For that a lean connection is watched edge-triggered (epoll(7)): the kernel tells once that
something has come, and we remember whom we have not heard.

Its clock never goes back or leaps: when somebody sets the date, no deadline, health check or life in a cache is an hour longer or over at
once (nginx and Envoy count like that; HAProxy corrects its date). ``seconds`` is what all of Twisted that we use asks: ``callLater``, each
``DelayedCall``, the wait in ``doPoll``, and by the clock that they are given LoopingCall, ``addTimeout``, ProcessMonitor and names' cache.
It tells no date; what needs one is given ``wall``, ``time.time``. Twisted's own reactors (``twistd --reactor=poll``) have the date for a
clock, with all that follows when it is set.
"""

import sys
import time
from collections import deque
from select import EPOLLET, EPOLLEXCLUSIVE, EPOLLIN, EPOLLOUT, EPOLLRDHUP
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.logger import Logger
from twisted.python import log

from scalability.net.transport import LeanConnection
from scalability.net.wire import Wire, send_held

CLIENTS_IN_TURN = 32
"""At 1,000 connections a proxied request takes 0.73 of the CPU that it took before, and half the p99; 8 to 64 do about as well."""

_READABLE = EPOLLIN | EPOLLRDHUP | EPOLLET
_DATA_AND_FIN = EPOLLIN | EPOLLRDHUP


class LeanReactor(EPollReactor):
    """EPollReactor that calls a lean transport's ``doRead`` without ceremony."""

    _log = Logger()

    seconds = staticmethod(time.monotonic)
    """See IReactorTime: seconds since some moment, the same for all processes of the machine. No Python frame: requests ask often."""

    def __init__(self) -> None:
        self.unsent: list[Wire] = []
        """Connections that something is written to in this turn, to be sent at its end."""
        self.closing: list[LeanConnection] = []
        """Connections that end with this turn, once that is sent."""
        self._wires: dict[int, Wire] = {}
        """Lean connections that stand and are read, by their descriptor."""
        self._unread: list[tuple[int, int]] = []
        """Events of connections whose socket may hold more than was read: an edge is told once."""
        self._unheard: deque[tuple[int, int]] = deque()
        """Events of clients whose turn has not come."""
        super().__init__()

    def addReader(self, reader: Any) -> None:  # noqa: N802 - Twisted's name
        """See IReactorFDSet."""
        if isinstance(reader, LeanConnection):
            self._add(reader, self._reads, self._writes, self._selectables, _READABLE, EPOLLOUT)
            if reader.wire is not None:
                self._wires[reader.fileno()] = reader.wire
        else:
            super().addReader(reader)

    def removeReader(self, reader: Any) -> None:  # noqa: N802 - Twisted's name
        """See IReactorFDSet. A connection's is called before its socket is closed."""
        if isinstance(reader, LeanConnection) and self._wires.pop(reader.fileno(), None) is None and reader.wire is not None:
            return  # it stands, and is not read
        super().removeReader(reader)

    def addWriter(self, writer: Any) -> None:  # noqa: N802 - Twisted's name
        """See IReactorFDSet."""
        if isinstance(writer, LeanConnection):
            self._add(writer, self._writes, self._reads, self._selectables, EPOLLOUT, _READABLE)
        else:
            super().addWriter(writer)

    def removeWriter(self, writer: Any) -> None:  # noqa: N802 - Twisted's name
        """See IReactorFDSet."""
        if isinstance(writer, LeanConnection):
            self._remove(writer, self._writes, self._reads, self._selectables, EPOLLOUT, _READABLE)
        else:
            super().removeWriter(writer)

    def read_again(self, connection: LeanConnection) -> None:
        """Read ``connection`` in the next turn, too: its socket may hold more than it has read in this one."""
        self._unread.append((connection.fileno(), EPOLLIN))

    def read_in_turn(self, fd: int) -> None:
        """Be the last in the line of processes that wait for the listening socket ``fd``, and wake up alone for a connection.

        Without it every process wakes up for each connection, and the one that began last gets nearly all of them. A process that is
        busy is passed over. The same as nginx's ``ngx_reorder_accept_events``.
        """
        self._poller.unregister(fd)
        self._poller.register(fd, EPOLLIN | EPOLLEXCLUSIVE)

    def doPoll(self, timeout: float | None) -> None:
        """Wait for events, at most ``timeout`` seconds (None: for ever), and hand them out."""
        wires = self._wires
        unheard = self._unheard
        if self.unsent or self.closing:
            self._end_turn()  # what timed calls have written, and whom they have closed
        if self._unread or unheard:
            timeout = 0
        try:
            events = self._poller.poll(-1 if timeout is None else timeout, len(self._selectables))
        except InterruptedError:
            return
        if self._unread:
            events = self._with_unread(events)
        crowded = len(events) > CLIENTS_IN_TURN or len(unheard) > 0
        while True:
            for item in events:
                fd, event = item
                wire = wires.get(fd)
                if wire is None or event != EPOLLIN:
                    self._unusual(fd, event)
                elif crowded and wire.accepted:
                    unheard.append(item)
                else:
                    try:
                        why = wire.read()
                    except BaseException:
                        why = self._failure()
                    if why is not None:
                        self._disconnectSelectable(wire.connection, why, True)
            if not crowded:
                break
            # all others have been heard: now those clients whose turn it is
            crowded = False
            # who is not read any more is told by the kernel anew when that is resumed
            events = [item for _ in range(min(CLIENTS_IN_TURN, len(unheard))) if (item := unheard.popleft())[0] in wires]
        if self.unsent or self.closing:
            self._end_turn()

    def _with_unread(self, events: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """What was left of the last turn, as far as it is still read, and then ``events``."""
        unread, self._unread = self._unread, []
        return [*(item for item in unread if item[0] in self._wires), *events]

    def _unusual(self, fd: int, event: int) -> None:
        """Anything but data alone on a lean connection."""
        selectable = self._selectables.get(fd)
        if selectable is None:
            return  # removed by one of the events before this one
        wire = self._wires.get(fd)
        if wire is None or event != _DATA_AND_FIN:
            log.callWithLogger(selectable, self._doReadOrWrite, selectable, fd, event)
            if event & EPOLLIN and isinstance(selectable, LeanConnection):
                self._unread.append((fd, _DATA_AND_FIN))
            return
        try:
            why = wire.read()
        except BaseException:
            why = self._failure()
        if why is not None:
            self._disconnectSelectable(selectable, why, True)
        else:
            self._unread.append((fd, event))

    def _failure(self) -> BaseException | None:
        """What PosixReactorBase._doReadOrWrite does: log it, drop the connection, carry on."""
        self._log.failure("a connection failed on what it received, and is closed")
        return sys.exc_info()[1]

    doIteration = doPoll

    def _end_turn(self) -> None:
        send_held(self.unsent)
        self.unsent.clear()
        if self.closing:
            closing, self.closing = self.closing, []
            for connection in closing:
                try:
                    connection.close()
                except Exception:
                    self._log.failure("a connection failed as it was closed")


def install() -> Any:
    """Return the global reactor; install the lean one first, unless there is one already (``twistd --reactor=poll``).

    Called in ``makeService``, before anything imports Klein, which imports (and so installs) the global reactor.
    """
    if "twisted.internet.reactor" not in sys.modules:
        installReactor(LeanReactor())
    from twisted.internet import reactor

    return reactor
