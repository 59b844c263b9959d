"""A route: its policies, then its cache and whatever else stands in front of its servers."""

from scalability.gateway.access.guard import Guard
from scalability.gateway.access.policy import AccessPolicy
from scalability.gateway.exchange import GatewayExchange
from scalability.gateway.routing.paths import without_prefix
from scalability.http1.request_head import RequestHead
from scalability.net.exchange import Application, Exchange


class Route:
    """Serves everything below ``name``, the prefix: ``policy`` admits, ``application`` answers."""

    def __init__(self, name: str, application: Application, policy: AccessPolicy | None = None) -> None:
        self.name = name
        self.application = application
        self.policy = policy
        admitting = application if policy is None else Guard(lambda exchange: policy, application)
        self._serve = admitting.request_received

    def request_received(self, exchange: Exchange) -> None:
        """net's server has a request."""
        assert isinstance(exchange, GatewayExchange)
        exchange.route = self.name
        exchange.connection.abort_on_close = False  # a FIN may be a half-close, as the balancer takes it
        serve = self._serve
        serve(exchange)


class Servers:
    """The end of a route: ``proxy`` forwards to its servers, perhaps without the prefix that the route has."""

    def __init__(self, proxy: Application, *, strip: bytes = b"") -> None:
        self._proxy = proxy
        self._strip = strip

    def request_received(self, exchange: Exchange) -> None:
        """Some application of the route, or net's server, has a request."""
        if isinstance(exchange, GatewayExchange):
            exchange.connection.serve(self)  # the proxy's memory of this client
        if self._strip:
            head = exchange.head
            exchange.head = RequestHead(head.method, without_prefix(head.target, self._strip), head.minor, head.host, head.shared)
        self._proxy.request_received(exchange)
