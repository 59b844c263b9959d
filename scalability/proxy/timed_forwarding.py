"""Forwarding with a stopwatch: fills in what the access log says of a request's way to its server."""

from typing import cast

from scalability.errors import ConnectError, ConnectTimeout
from scalability.http1.response_head import ResponseHead
from scalability.net.client_connection import ClientConnection
from scalability.net.exchange import Exchange
from scalability.net.timed_server import TimedExchange
from scalability.proxy.application import ProxyApplication
from scalability.proxy.forwarding import Forwarding
from scalability.upstream.server import Server


class TimedForwarding(Forwarding):
    """A request on its way, whose exchange is a ``TimedExchange``."""

    __slots__ = ("_began_s", "_connecting")

    def __init__(self, application: ProxyApplication, exchange: Exchange, block: bytes) -> None:
        super().__init__(application, exchange, block)
        self._began_s = 0.0
        self._connecting = False

    @property
    def _timed(self) -> TimedExchange:
        return cast("TimedExchange", self._exchange)

    def _now(self) -> float:
        return self._exchange.connection.factory.clock.seconds()

    def _attempt(self, server: Server, reason: str, fresh: bool = False) -> None:
        exchange = self._timed
        self._began_s = now = self._now()
        if not exchange.attempts:
            exchange.queue_s = now - exchange.began_s
        exchange.attempts += 1
        exchange.server = server.name
        self._connecting = True
        super()._attempt(server, reason, fresh)

    def _send(self, connection: ClientConnection) -> None:
        now = self._now()
        if not self._reused:
            self._connected(now)
        self._connecting = False
        self._sent_s = now
        super()._send(connection)

    def connect_failed(self, error: ConnectError | ConnectTimeout) -> None:
        self._connected(self._now())
        super().connect_failed(error)

    def answer_received(self, head: ResponseHead, data: bytes, ended: bool) -> None:
        self._timed.first_byte_s = self._now() - self._sent_s
        super().answer_received(head, data, ended)

    def answer_switched(self, head: ResponseHead, data: bytes) -> None:
        self._timed.first_byte_s = self._now() - self._sent_s
        super().answer_switched(head, data)

    def _connected(self, now: float) -> None:
        if self._connecting:
            self._connecting = False
            self._timed.connect_s += now - self._began_s
