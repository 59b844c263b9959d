"""After 101 (Switching Protocols): bytes both ways, whatever they mean, until both sides have finished (rule 43).

    open            bytes pass in both directions; each side's slowness pauses the other at 64 KiB
    half finished   one side has sent its FIN, which was passed on; the other may go on
    over            both have finished, or one is gone, or nothing passed either way for the idle limit

A TLS connection has no half-close: when the server finishes towards such a client, what is queued is sent and both sides end.
"""

from typing import Protocol

from scalability.errors import ScalelabError, TunnelTimeout, UpstreamError
from scalability.http1.response_head import ResponseHead
from scalability.net.client_connection import ClientConnection
from scalability.net.exchange import Exchange


class Tunnelled(Protocol):
    """Whoever counts what the server does: ``upstream.servers.Server``."""

    def succeeded(self) -> None:
        """It did its part."""

    def failed(self, error: ScalelabError) -> None:
        """It did not."""


class TunnelCounts:
    """What went through the tunnels of a proxy, in plain numbers, read when metrics are asked for."""

    __slots__ = ("client_bytes", "open", "opened", "server_bytes")

    def __init__(self) -> None:
        self.open = 0
        """Tunnels, now."""
        self.opened: dict[str, int] = {}
        """Tunnels, ever, by the protocol that was switched to."""
        self.client_bytes = 0
        """From clients to servers."""
        self.server_bytes = 0
        """From servers to clients."""


class Tunnel:
    """One tunnel: ``exchange`` on the client's side, ``connection`` on the server's. Both tell it what happens; it is open when made."""

    def __init__(self, exchange: Exchange, connection: ClientConnection, server: Tunnelled, counts: TunnelCounts, protocol: str) -> None:
        self._exchange = exchange
        self._connection = connection
        self._server = server
        self._counts = counts
        self._client_finished = False
        self._server_finished = False
        self._over = False
        counts.open += 1
        counts.opened[protocol] = counts.opened.get(protocol, 0) + 1

    # the client's side: net.exchange.TunnelReceiver

    def body_received(self, data: bytes, ended: bool) -> None:
        self._counts.client_bytes += len(data)
        self._connection.write_body(data, False)

    def client_finished(self) -> None:
        self._client_finished = True
        if self._server_finished:
            self._end()
        else:
            self._connection.half_close()

    def client_lost(self, error: ScalelabError) -> None:
        if self._settle():
            self._connection.abort()
            self._server.failed(error)

    def client_full(self) -> None:
        self._connection.pause()

    def client_ready(self) -> None:
        self._connection.resume()

    # the server's side: net.answer_receiver.SwitchReceiver, after the switch

    def answer_data(self, data: bytes, ended: bool) -> None:
        if data:
            self._counts.server_bytes += len(data)
            self._exchange.write(data)
        if ended:
            self._end()  # its connection is gone, not only half of it

    def server_finished(self) -> None:
        self._server_finished = True
        if self._client_finished or not self._exchange.half_close():
            self._end()

    def answer_failed(self, error: UpstreamError) -> None:
        if not self._settle():
            return
        if isinstance(error, TunnelTimeout):
            self._server.succeeded()
            self._exchange.trouble = error.code
            self._exchange.finish()
        else:
            self._server.failed(error)
            self._exchange.fail(error)

    def upload_paused(self) -> None:
        self._exchange.pause_body()

    def upload_resumed(self) -> None:
        self._exchange.resume_body()

    def answer_interim(self, head: ResponseHead) -> None:
        """There are no heads any more."""

    def answer_received(self, head: ResponseHead, data: bytes, ended: bool) -> None:
        """There are no heads any more."""

    def answer_switched(self, head: ResponseHead, data: bytes) -> None:
        """There are no heads any more."""

    def _end(self) -> None:
        if self._settle():
            self._connection.end()
            self._server.succeeded()
            self._exchange.finish()

    def _settle(self) -> bool:
        """False when it is over already."""
        if self._over:
            return False
        self._over = True
        self._counts.open -= 1
        return True
