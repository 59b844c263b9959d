"""A route's guard: only requests that its description has go on to the application behind it.

head      path, method, parameters and the body's type are checked: what is wrong is answered at once
arriving  the operation takes a body: it is held, up to a limit, until it is complete
checking  it is large, and another process reads it meanwhile (``checkers``)
over      refused, or handed on; from there it is the other application's
"""

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.errors import BodyTooLarge, ClientError, Overloaded, ScalelabError
from scalability.gateway.openapi.bodies import Verdict, judged
from scalability.gateway.openapi.checkers import Checkers
from scalability.gateway.openapi.validation import Asked, Invalid, Validation
from scalability.net.exchange import Application, Exchange
from scalability.net.failures import JSON, error_fields

INLINE_BYTES = 16 << 10
"""Bodies up to that are checked at once: it takes about a millisecond."""

MAX_HELD_BYTES = 64 << 20
"""Of bodies that are arriving or being checked, all clients of a route together; beyond that they are answered 503."""


def refuse(exchange: Exchange, error: Invalid) -> None:
    """Answer with ``error`` and the places of all mistakes: ``errors``, each with ``in``, ``name``, ``pointer`` (RFC 6901), ``message``."""
    exchange.trouble = error.code
    problems = [{"in": one.where, "name": one.name, "pointer": one.pointer, "message": one.message} for one in error.problems]
    body = msgspec.json.encode({"error": error.code, "message": str(error), "errors": problems})
    exchange.answer(error.status, body, JSON, error_fields(error))


class ValidatingApplication:
    """Checks by ``validation`` what ``application`` then serves. ``refused`` counts the requests that were not handed on."""

    log = Logger()

    def __init__(self, validation: Validation, application: Application, *, max_body_bytes: int, checkers: Checkers | None = None) -> None:
        """``checkers`` check bodies above ``INLINE_BYTES``; without them all are checked here."""
        self._validation = validation
        self._application = application
        self._checkers = checkers
        self.max_body_bytes = max_body_bytes
        self.held_bytes = 0
        self.refused = 0

    def request_received(self, exchange: Exchange) -> None:
        """See ``Application``."""
        validation = self._validation
        head = exchange.head
        try:
            asked = validation.find(head)
            if asked is not None:
                validation.check_head(head, asked)
                if asked.takes_body:
                    self._take_body(exchange, asked)
                    return
        except ClientError as error:
            self.refuse(exchange, error)
            return
        self._application.request_received(exchange)

    def hand_on(self, exchange: Exchange, asked: Asked) -> None:
        """The body is complete: check it, and have the application serve what passes."""
        body = exchange.body
        try:
            check = self._validation.body_check(exchange.head, asked, body)
            if check is not None and self._checkers is not None and len(body) > INLINE_BYTES:
                if self.held_bytes + len(body) > MAX_HELD_BYTES:
                    self.refuse(exchange, Overloaded("too many bodies are being checked; try again later"))
                    return
                _Checking(self, exchange, self._checkers.check(check, body, self._validation.max_nesting))
                return
            if check is not None:
                self._validation.judge(judged(body, check, self._validation.max_nesting))
        except ClientError as error:
            self.refuse(exchange, error)
            return
        self._application.request_received(exchange)

    def judged(self, exchange: Exchange, verdict: Verdict) -> None:
        """Another process has read its body."""
        try:
            self._validation.judge(verdict)
        except ClientError as error:
            self.refuse(exchange, error)
            return
        self._application.request_received(exchange)

    def refuse(self, exchange: Exchange, error: ScalelabError) -> None:
        """Answer, and count."""
        self.refused += 1
        if isinstance(error, Invalid):
            refuse(exchange, error)
        else:
            exchange.fail(error)

    def too_large(self) -> BodyTooLarge:
        """What a body above the limit is answered."""
        return BodyTooLarge(f"the body is larger than {self.max_body_bytes} bytes")

    def _take_body(self, exchange: Exchange, asked: Asked) -> None:
        if max(exchange.head.content_length or 0, len(exchange.body)) > self.max_body_bytes:
            raise self.too_large()
        if exchange.body_complete:
            self.hand_on(exchange, asked)
            return
        arriving = exchange.receiver = _Arriving(self, exchange, asked)
        if arriving.keep(exchange.body):
            exchange.send_continue()


class _Arriving:
    """A body that is not complete yet."""

    __slots__ = ("_application", "_asked", "_body", "_exchange")

    def __init__(self, application: ValidatingApplication, exchange: Exchange, asked: Asked) -> None:
        self._application = application
        self._exchange = exchange
        self._asked = asked
        self._body = bytearray()

    def keep(self, data: bytes) -> bool:
        """Keep a part of it, unless that is too much: then the answer says so."""
        application = self._application
        self._body += data
        application.held_bytes += len(data)
        if len(self._body) > application.max_body_bytes:
            error: ScalelabError = application.too_large()
        elif application.held_bytes > MAX_HELD_BYTES:
            error = Overloaded("too many bodies are arriving at once; try again later")
        else:
            return True
        self._take()
        application.refuse(self._exchange, error)
        return False

    def body_received(self, data: bytes, ended: bool) -> None:
        exchange = self._exchange
        if self.keep(data) and ended:
            exchange.body = self._take()
            exchange.receiver = None
            self._application.hand_on(exchange, self._asked)

    def client_lost(self, error: ScalelabError) -> None:
        self._take()

    def client_full(self) -> None:
        """Nothing is written yet."""

    def client_ready(self) -> None:
        """Nothing is written yet."""

    def _take(self) -> bytes:
        body, self._body = self._body, bytearray()
        self._application.held_bytes -= len(body)
        return bytes(body)


class _Checking:
    """A body that another process reads: the exchange's receiver meanwhile."""

    __slots__ = ("_application", "_exchange", "_lost", "_verdict")

    def __init__(self, application: ValidatingApplication, exchange: Exchange, verdict: Deferred[Verdict]) -> None:
        self._application = application
        self._exchange = exchange
        self._lost = False
        self._verdict = verdict
        exchange.receiver = self
        application.held_bytes += len(exchange.body)
        verdict.addBoth(self._over)
        verdict.addErrback(self._failed)

    def _over(self, outcome: Verdict | Failure) -> None:
        application, exchange = self._application, self._exchange
        application.held_bytes -= len(exchange.body)
        if self._lost:
            return
        exchange.receiver = None
        if isinstance(outcome, Verdict):
            application.judged(exchange, outcome)
        elif isinstance(outcome.value, ScalelabError):
            application.refuse(exchange, outcome.value)
        else:
            outcome.raiseException()

    def _failed(self, failure: Failure) -> None:
        self._application.log.failure("the application failed on a request", failure)
        if not self._lost:
            self._exchange.fail(ScalelabError("this server made a mistake; its log says more"))

    # the exchange's receiver

    def body_received(self, data: bytes, ended: bool) -> None:
        """It has come already."""

    def client_lost(self, error: ScalelabError) -> None:
        self._lost = True
        self._verdict.cancel()

    def client_full(self) -> None:
        """Nothing is written yet."""

    def client_ready(self) -> None:
        """Nothing is written yet."""
