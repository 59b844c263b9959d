"""Stands in front of an application: what a policy refuses never gets there.

asked     the policy looks at the request; usually it has decided before it returns
waiting   it waits for a key or a store; the client may leave, and no more of the request's body is read meanwhile
passed    the application has the request, with what had come of its body by then
refused   it was answered here
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.errors import ScalelabError
from scalability.gateway.access.policy import AccessPolicy
from scalability.gateway.exchange import GatewayExchange
from scalability.net.exchange import Application, Exchange


class Guard:
    """Gives ``application`` what the policy of a request admits; ``policy_of`` finds that (None: anything passes).

    ``answered`` is told of what was answered here.
    """

    def __init__(
        self,
        policy_of: Callable[[GatewayExchange], AccessPolicy | None],
        application: Application,
        *,
        answered: Callable[[GatewayExchange], None] = lambda exchange: None,
    ) -> None:
        self._policy_of = policy_of
        self.passed = application.request_received
        self.answered = answered

    def request_received(self, exchange: Exchange) -> None:
        """net's server has a request."""
        assert isinstance(exchange, GatewayExchange)
        policy = self._policy_of(exchange)
        if policy is not None:
            try:
                waiting = policy.admit(exchange)
            except ScalelabError as error:
                exchange.fail(error)
                self.answered(exchange)
                return
            if waiting is not None:
                Waiting(self, exchange, waiting)
                return
            if exchange.begun:
                self.answered(exchange)
                return
        self.passed(exchange)


class Waiting:
    """A request whose policy has not decided: the exchange's receiver meanwhile."""

    __slots__ = ("_exchange", "_guard", "_lost", "_waiting")

    log = Logger()

    def __init__(self, guard: Guard, exchange: GatewayExchange, waiting: Deferred[None]) -> None:
        self._guard = guard
        self._exchange = exchange
        self._lost = False
        self._waiting = waiting
        exchange.receiver = self
        if not exchange.body_complete:
            exchange.pause_body()
        waiting.addCallbacks(self._admitted, self._refused)
        waiting.addErrback(self._failed)

    def _admitted(self, _: None) -> None:
        exchange = self._exchange
        if self._lost or exchange.begun:
            return
        if not exchange.body_complete:
            # what was held comes now, before the application has it: it belongs to what came along with the head
            exchange.resume_body()
        exchange.receiver = None
        self._guard.passed(exchange)

    def _refused(self, failure: Failure) -> None:
        error = failure.value
        if self._lost:
            return
        if not isinstance(error, ScalelabError):
            self.log.failure("a policy failed", failure)
            error = ScalelabError("this server made a mistake; its log says more")
        self._exchange.receiver = None
        self._exchange.fail(error)
        self._guard.answered(self._exchange)

    def _failed(self, failure: Failure) -> None:
        self.log.failure("the application failed on a request", failure)
        if not self._lost:
            self._exchange.fail(ScalelabError("this server made a mistake; its log says more"))

    # the exchange's receiver

    def body_received(self, data: bytes, ended: bool) -> None:
        self._exchange.body += data

    def client_lost(self, error: ScalelabError) -> None:
        self._lost = True
        self._waiting.cancel()

    def client_full(self) -> None:
        """Nothing is written yet."""

    def client_ready(self) -> None:
        """Likewise."""
