"""The fast way of ``GET /data``: what the process's own memory has is answered before Klein or twisted.web are entered.

A Klein route costs tens of microseconds before its code runs. The usual request, a plain GET on a connection that stays open, needs
none of it: its whole answer is kept as bytes, and made anew when the value or the second changes. The answer is byte for byte that
of the route, and counted in the same places (a property test compares them). Whatever is not usual goes on to the route, which knows what
to say. Keys, tokens and limits are looked at before either (``access.guard``).
"""

from typing import Protocol

from scalability.gateway.data import DATA_KEY, DATA_PATH, data_body
from scalability.gateway.look_aside import Found, Load, LookAside, Origin
from scalability.gateway.metrics import GatewayMetrics
from scalability.net.exchange import Application, Exchange
from scalability.telemetry.http_metrics import HTTPServerMetrics

HEAD = b"HTTP/1.1 200 OK\r\nDate: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
"""What twisted.web and the adapter make of the route's answer."""


class Site(Application, Protocol):
    """``api``'s server of the Klein app."""

    http: HTTPServerMetrics

    def date(self) -> bytes:
        """The Date of its answers."""


class DataHits:
    """Stands in front of ``site``, whose route answers everything that is not a near hit of ``/data``.

    ``load`` is what the route would load with, for a value that is due.
    """

    def __init__(
        self,
        site: Site,
        look_aside: LookAside,
        load: Load,
        metrics: GatewayMetrics,
        *,
        pass_on: Application | None = None,
    ) -> None:
        self._pass_on = (pass_on or site).request_received
        self._date_now = site.date  # the route's own: that of the server's may change at another moment
        self._record = site.http.record
        self._near_hit = look_aside.near_hit
        self._load = load
        self._metrics = metrics
        self._record_latency = metrics.latency.record
        self._value = b""
        self._date = b""
        self._block = b""

    def request_received(self, exchange: Exchange) -> None:
        """net's server has a request."""
        head = exchange.head
        if head.target == DATA_PATH and head.method == b"GET" and head.minor and not (head.content_length or head.chunked):
            factory = exchange.connection.factory
            # what Cache-Control asks for, the HTTP cache in front of the route knows (504 to only-if-cached)
            if head.keep_alive and not factory.draining and head.shared.cache_control is None:
                value = self._near_hit(DATA_KEY, self._load, exchange.began_s)
                if value is not None:
                    date = self._date_now()
                    if value is not self._value or date is not self._date:
                        body = data_body(Found(value, Origin.HIT))
                        self._block = HEAD % (date, len(body), body)
                        self._value, self._date = value, date
                    self._metrics.hits += 1
                    seconds = factory.seconds() - exchange.began_s
                    self._record_latency(seconds)
                    self._record(b"GET", "/data", 200, seconds)
                    exchange.reply(200, self._block, keep_alive=True)
                    return
        self._pass_on(exchange)
