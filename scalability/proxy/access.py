"""What a proxy writes into its access log.

Durations are measured on the reactor's clock, which need not know the date; a line's date comes from the wall clock.
"""

from collections.abc import Callable
from time import time

from scalability.errors import ScalelabError
from scalability.http1.request_head import RequestHead
from scalability.net.exchange import Exchange
from scalability.net.timed_server import Timed, TimedConnection, TimedExchange
from scalability.telemetry.access_log import COMPLETE, NO_TIME_S, AccessEntry, AccessLog


def entry_of(exchange: Timed, seconds: float, now: float, *, head: RequestHead | None = None, route: str = "") -> AccessEntry:
    """The line for ``exchange``, which took ``seconds`` and is over ``now``, in Unix seconds.

    Take one only: it takes the bytes that were received, too.
    ``head`` is the one that the client sent, where the exchange has another one now; ``route`` what served it, where there are several.
    """
    head = exchange.head if head is None else head
    return AccessEntry(
        time=now - seconds,
        client=(exchange.client_host or exchange.peer_host).decode("latin-1"),
        method=head.method.decode("latin-1"),
        path=head.target.partition(b"?")[0].decode("latin-1"),
        status=exchange.status,
        duration_s=_rounded(seconds),
        bytes=exchange.sent_bytes,
        reason=exchange.trouble or COMPLETE,
        received_bytes=exchange.timed_connection.take_received_bytes(),
        server=exchange.server or exchange.served_by,
        retries=max(0, exchange.attempts - 1),
        accept_s=_rounded(exchange.accept_s),
        head_s=_rounded(exchange.head_s),
        queue_s=_rounded(exchange.queue_s),
        connect_s=_rounded(exchange.connect_s),
        first_byte_s=_rounded(exchange.first_byte_s),
        request_id=exchange.request_id.decode("latin-1"),
        minor=head.minor,
        route=route,
    )


def _rounded(seconds: float) -> float:
    return round(seconds, 6) or NO_TIME_S


class Access:
    """Writes a line for each exchange that ends, and one for whatever was refused before it was one. ``wall`` tells the Unix time."""

    def __init__(self, log: AccessLog, wall: Callable[[], float] = time) -> None:
        self.record = log.record
        self.wall = wall

    def ended(self, exchange: Exchange, seconds: float) -> None:
        """``TimedServerFactory`` calls this, whose exchanges are timed."""
        assert isinstance(exchange, TimedExchange)
        self.record(entry_of(exchange, seconds, self.wall()))

    def refused(self, connection: TimedConnection, error: ScalelabError) -> None:
        """``TimedServerFactory`` calls this too. What was no request has neither method nor path."""
        now = connection.factory.clock.seconds()
        begun_s = connection.first_byte_s or now
        self.record(
            AccessEntry(
                time=self.wall(),
                client=connection.peer_host.decode("latin-1"),
                method="",
                path="",
                status=error.status,
                duration_s=0.0,
                bytes=0,
                reason=error.code,
                received_bytes=connection.take_received_bytes(),
                accept_s=_rounded(begun_s - connection.accepted_s) if connection.accepted_s else NO_TIME_S,
                head_s=_rounded(now - begun_s),
            )
        )
