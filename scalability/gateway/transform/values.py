"""What the variables of templates stand for, for one request."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from scalability.gateway.exchange import GatewayExchange
from scalability.net.exchange import Exchange


def values_of(exchange: Exchange, names: frozenset[str], *, route: bytes) -> dict[str, bytes]:
    """What those in ``names`` stand for; ``route`` is the prefix. Empty: nothing is known."""
    return {name: route if name == "route" else _VALUES[name](exchange) for name in names}


_VALUES: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "client_address": lambda exchange: exchange.client_host or exchange.peer_host,
    "consumer": lambda exchange: exchange.consumer if isinstance(exchange, GatewayExchange) else b"",
    "host": lambda exchange: exchange.head.host,
    "method": lambda exchange: exchange.head.method,
    "path": lambda exchange: exchange.head.target.partition(b"?")[0],
    "request_id": lambda exchange: exchange.request_id,
    "scheme": lambda exchange: exchange.scheme,
}
