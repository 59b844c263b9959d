"""The lean reactor: Twisted's epoll reactor with a shorter way from an event to a lean transport.

Twisted wraps every event in a logging context, looks at the descriptor again, and only then calls ``doRead``.
For the transports of ``net.transport`` and on a plain EPOLLIN this reactor reads, hands on and sends by itself: an error is logged
all the same and the connection dropped all the same. Every other event and every other selectable takes Twisted's own way.
With the lean transports this took a proxied request from 18.7 to 13.9 us of CPU; everything works without it, only slower.

Nor is a turn of the loop preceded by a look at all that Twisted's may have to do. Under load a turn has few events: with 50 clients that
each ask for a key at a time, half of all requests had a turn of their own, or shared it with one other, and the turn itself took as
many instructions as the request.

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
from math import inf
from select import EPOLLET, EPOLLEXCLUSIVE, EPOLLIN, EPOLLOUT, EPOLLRDHUP
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.logger import Logger
from twisted.python import log

from scalability.net.transport import LeanConnection
from scalability.net.wire import Wire, read_error

CLIENTS_IN_TURN = 32
"""At 1,000 connections a proxied request takes 0.73 of the CPU that it took before, and half the p99; 8 to 64 do about as well."""

LOOK_S = 3600.0
"""How long it waits where no call is timed."""

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
        self._due = -inf
        """No timed call that Twisted has put in order is due earlier; -inf: look."""
        super().__init__()

    def mainLoop(self) -> None:  # noqa: N802 - Twisted's name
        """As Twisted's, which in every turn goes through its timed calls, asks the clock twice and prepares for errors: here that is done
        when there may be something to do."""
        while self._started:
            try:
                self._turn(None, again=True)
            except BaseException:
                self._log.failure("Main loop error")
                self._look()
        self._log.info("Main loop terminated.")

    def doPoll(self, timeout: float | None) -> None:
        """Wait for events, at most ``timeout`` seconds (None: for ever), and hand them out."""
        self._look()  # ``iterate`` may have put timed calls in order that the main loop does not know
        self._end_turn()  # what timed calls have written, and whom they have closed
        self._turn(timeout, again=False)

    doIteration = doPoll

    def _turn(self, timeout: float | None, *, again: bool) -> None:
        """Wait, read, hand on, send. ``again``: as long as the reactor runs, with its timed calls, which then say how long to wait.

        One loop without calls of our own: each, and each look at an attribute, is taken once for one or two requests. What it does with
        a wire is what ``Wire.read`` and ``Wire.send_held`` do.
        """
        seconds, poll, selectables, wire_of = self.seconds, self._poller.poll, self._selectables, self._wires.get
        unread, unheard, unsent = self._unread, self._unheard, self.unsent
        while True:
            if again:
                now, due = seconds(), self._due
                if now < due and not self._newTimedCalls and not self.threadCallQueue:
                    timeout = due - now
                else:
                    if self._started:
                        timeout = self._run_due()
                    if not self._started:
                        return
            if unread or unheard:
                timeout = 0
            try:
                events = poll(timeout, len(selectables))
            except InterruptedError:
                events = []
            if len(events) > CLIENTS_IN_TURN or unread or unheard:
                events = self._in_turn(events)
            for fd, event in events:
                wire = wire_of(fd)
                if wire is None or event != EPOLLIN:
                    self._unusual(fd, event)
                    continue
                try:
                    data = wire.socket.recv(wire.read_bytes)
                except OSError as error:
                    self._read_failed(wire, error)
                    continue
                except BaseException:  # no memory; events of others follow
                    self._failed(wire)
                    continue
                if not data:
                    self._lose(wire, wire.connection.read_ended())
                    continue
                try:
                    if len(data) == wire.read_bytes:
                        wire.filled()
                    received = wire.received
                    reply = received(data)
                    if reply is not None and wire.answering:
                        if wire.held or not wire.direct:
                            wire.connection.write_carefully(reply)
                        else:
                            wire.held = reply
                            unsent.append(wire)
                except BaseException:
                    self._failed(wire)
            for wire in unsent:
                data = wire.held
                if not data:
                    continue  # sent already, or the connection is gone
                wire.held = b""
                try:
                    sent = wire.socket.send(data)
                except OSError as error:
                    wire.send_failed(data, error)
                    continue
                if sent != len(data):
                    wire.connection.send_refused(data, sent)
            unsent.clear()
            if self.closing:
                self._end_turn()
            if not again:
                return

    def _run_due(self) -> float:
        """Run what others have asked for: timed calls that are due, calls of other threads, the beginning of the end. How long to wait
        for events, in seconds."""
        self.runUntilCurrent()
        self._end_turn()
        timeout = self.timeout()
        if not self.running or self._justStopped:
            return 0.0
        if timeout is None:
            timeout = LOOK_S
        self._due = self.seconds() + timeout
        return timeout

    def stop(self) -> None:
        """See IReactorCore."""
        super().stop()
        self._look()

    def crash(self) -> None:
        """See IReactorCore."""
        super().crash()
        self._look()

    def _look(self) -> None:
        """The next turn is one in which all that there may be to do is looked at."""
        self._due = -inf

    def _moveCallLaterSooner(self, call: Any) -> None:  # noqa: N802 - Twisted's name
        super()._moveCallLaterSooner(call)
        self._look()

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

    def _in_turn(self, events: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """What was left of the last turn, as far as it is still read, then all others than clients, and the clients whose turn it is."""
        wires, unheard = self._wires, self._unheard
        events = [*(item for item in self._unread if item[0] in wires), *events]
        self._unread.clear()
        if len(events) <= CLIENTS_IN_TURN and not unheard:
            return events
        first: list[tuple[int, int]] = []
        for item in events:
            wire = wires.get(item[0])
            (unheard if wire is not None and wire.accepted and item[1] == EPOLLIN else first).append(item)
        clients = [unheard.popleft() for _ in range(min(CLIENTS_IN_TURN, len(unheard)))]
        # who is not read any more is told by the kernel anew when that is resumed
        return [*first, *(item for item in clients if item[0] in wires)]

    def _unusual(self, fd: int, event: int) -> None:
        """Anything but data alone on a lean connection that is read."""
        selectable = self._selectables.get(fd)
        if selectable is None:
            return  # removed by one of the events before this one
        wire = self._wires.get(fd)
        if wire is not None and event == _DATA_AND_FIN:
            try:
                why = wire.read()
            except BaseException:
                self._failed(wire)
                return
            if why is not None:
                self._lose(wire, why)
            else:
                self._unread.append((fd, event))
        elif event != EPOLLIN or not isinstance(selectable, LeanConnection):
            log.callWithLogger(selectable, self._doReadOrWrite, selectable, fd, event)
            if event & EPOLLIN and isinstance(selectable, LeanConnection):
                self._unread.append((fd, EPOLLIN | event & EPOLLRDHUP))
        # else it is not read any more: the kernel tells anew when that is resumed

    def _read_failed(self, wire: Wire, error: OSError) -> None:
        why = read_error(error)
        if why is not None:
            self._lose(wire, why)

    def _failed(self, wire: Wire) -> None:
        """What PosixReactorBase._doReadOrWrite does: log it, drop the connection, carry on."""
        self._log.failure("a connection failed on what it received, and is closed")
        self._lose(wire, sys.exc_info()[1])

    def _lose(self, wire: Wire, why: BaseException | None) -> None:
        """Drop the connection, which has ended because of ``why``. Events of others follow, and each is told only once."""
        try:
            self._disconnectSelectable(wire.connection, why, True)
        except BaseException:
            self._log.failure("a connection failed as it ended")

    def _end_turn(self) -> None:
        """Send what is held, and close whom this turn has closed; what that makes others write and close, too."""
        while self.unsent or self.closing:
            for wire in self.unsent:
                wire.send_held()
            self.unsent.clear()
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
