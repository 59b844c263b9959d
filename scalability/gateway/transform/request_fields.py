"""A route's fields before its cache: those of requests, and those of answers that are each client's own.

A cache behind this sees a request as its server would, and keeps nothing of what is said to one client alone.
"""

from collections.abc import Sequence

from scalability.errors import BadMessage
from scalability.gateway.exchange import GatewayExchange
from scalability.gateway.transform.config import RewriteOptions
from scalability.gateway.transform.values import values_of
from scalability.http1.fields import Field
from scalability.http1.limits import Limits
from scalability.http1.request_head import RequestHead, parse_request_head
from scalability.http1.trust import NOBODY, Networks, client_of
from scalability.net.exchange import Application, Exchange


class FieldsApplication:
    """Changes the fields of requests by ``rewrite``, and hands them to ``application``. ``trusted`` proxies say who the client is."""

    def __init__(
        self, application: Application, rewrite: RewriteOptions, *, prefix: str, limits: Limits, trusted: Networks = NOBODY
    ) -> None:
        self._application = application
        self._requests = rewrite.request_rules()
        self._answers = rewrite.answer_rules().split()[1]
        self._variables = self._requests.variables | self._answers.variables
        self._prefix = prefix.encode()
        self._limits = limits
        self._trusted = trusted if "client_address" in self._variables else NOBODY

    @staticmethod
    def needed(rewrite: RewriteOptions | None) -> bool:
        """Whether there is anything to do here."""
        return rewrite is not None and bool(rewrite.request_rules() or rewrite.answer_rules().split()[1])

    def request_received(self, exchange: Exchange) -> None:
        """See ``Application``."""
        if not exchange.client_host and exchange.peer_host in self._trusted:
            exchange.client_host = client_of(exchange.peer_host, exchange.head, self._trusted)
        values = values_of(exchange, self._variables, route=self._prefix)
        if self._requests:
            head = exchange.head
            try:
                exchange.head = request_head(head, head.target, self._requests.apply(head.fields, values), self._limits)
            except BadMessage as error:
                exchange.fail(error)
                return
        if self._answers and isinstance(exchange, GatewayExchange):
            exchange.added += self._answers.apply((), values)
        self._application.request_received(exchange)


def request_head(head: RequestHead, target: bytes, fields: Sequence[Field], limits: Limits) -> RequestHead:
    """``head`` with another target and other fields, read by the strict parser again, so that nothing can be smuggled in.

    Raises BadMessage.
    """
    lines = b"".join([b"%b: %b\r\n" % field for field in fields])
    return parse_request_head(b"%b %b HTTP/1.%d\r\n%b\r\n" % (head.method, target, head.minor, lines), limits)
