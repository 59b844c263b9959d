"""What the balancer writes into its access log."""

from scalability.net.http_server import Exchange
from scalability.telemetry.access_log import AccessEntry, AccessLog


def entry_of(exchange: Exchange, seconds: float) -> AccessEntry:
    """The line for ``exchange``, which took ``seconds``."""
    head = exchange.head
    return AccessEntry(
        time=exchange.began_s,
        client=(exchange.client_host or exchange.peer_host).decode("latin-1"),
        method=head.method.decode("latin-1"),
        path=head.target.partition(b"?")[0].decode("latin-1"),
        status=exchange.status,
        duration_s=seconds,
        bytes=exchange.sent_bytes,
        server=exchange.served_by,
        reason=exchange.trouble,
        request_id=exchange.request_id.decode("latin-1"),
    )


class Access:
    """Writes a line for each exchange that ends."""

    def __init__(self, log: AccessLog) -> None:
        self._record = log.record

    def ended(self, exchange: Exchange, seconds: float) -> None:
        """``HTTPServerFactory`` calls this."""
        self._record(entry_of(exchange, seconds))
