"""A route's transformation, behind its cache: which path is asked of the application behind it, and what its answers become."""

from collections.abc import Mapping

from twisted.internet.interfaces import IReactorTime

from scalability.errors import BadAnswer, BadMessage
from scalability.gateway.transform.accept_encoding import IDENTITY, Choice, choose
from scalability.gateway.transform.compression import Coded, code
from scalability.gateway.transform.config import CompressionOptions, RewriteOptions
from scalability.gateway.transform.entity_tags import Condition
from scalability.gateway.transform.fields import Rules
from scalability.gateway.transform.paths import check_prefix, replace_prefix
from scalability.gateway.transform.relay import Relay
from scalability.gateway.transform.request_fields import request_head
from scalability.gateway.transform.turns import Turns
from scalability.gateway.transform.values import values_of
from scalability.http1.answer import REASONS
from scalability.http1.fields import Field
from scalability.http1.limits import Limits
from scalability.http1.request_head import RequestHead
from scalability.http1.response_head import ResponseHead, parse_response_head
from scalability.net.exchange import Application, Exchange

_UNIDENTIFIED = Choice(IDENTITY)


class TransformingApplication:
    """Serves a route below ``prefix`` by ``application``, with paths, fields and bodies as the options say.

    What a request asks for is changed in its exchange's ``head``. Answers are read and written anew only where ``rewrite`` has rules for
    them or there is ``compression``.
    """

    def __init__(
        self,
        application: Application,
        clock: IReactorTime,
        *,
        prefix: str,
        limits: Limits,
        rewrite: RewriteOptions | None = None,
        compression: CompressionOptions | None = None,
        turns: Turns | None = None,
    ) -> None:
        """``turns`` are those of the process: all bodies that are encoded share them."""
        self._application = application
        self._clock = clock
        self._turns = Turns(clock) if turns is None else turns
        self._limits = limits
        self._prefix = b"" if prefix == "/" else prefix.rstrip("/").encode()
        self._replacement = None if rewrite is None or rewrite.replace_prefix is None else check_prefix(rewrite.replace_prefix)
        self.answers = Rules() if rewrite is None else rewrite.answer_rules().split()[0]
        self.compression = None if compression is None else Compression(compression)

    @staticmethod
    def needed(rewrite: RewriteOptions | None) -> bool:
        """Whether there is anything to do here."""
        return rewrite is not None and (rewrite.replace_prefix is not None or bool(rewrite.answer_rules().split()[0]))

    def request_received(self, exchange: Exchange) -> None:
        """See ``Application``."""
        values = values_of(exchange, self.answers.variables, route=self._prefix or b"/")
        head = exchange.head
        choice, condition = _UNIDENTIFIED, None
        if self.compression is not None:
            choice = choose(head.get_all(b"accept-encoding"), self.compression.offered)
            condition = Condition(head.get_all(b"if-none-match"), choice.coding) if b"if-none-match" in head.index else None
        if self._replacement is not None or condition:
            try:
                exchange.head = self._changed(head, condition)
            except BadMessage as error:
                exchange.fail(error)
                return
        if not self.answers and self.compression is None:
            self._application.request_received(exchange)
            return
        Relay(exchange, _AnswerChange(self, values, choice, condition, exchange, self._limits), self._clock, self._turns).ask(
            self._application
        )

    def _changed(self, head: RequestHead, condition: Condition | None) -> RequestHead:
        """The head to be asked, read by the strict parser again, so that nothing can be smuggled in. Raises BadMessage."""
        target = head.target
        if self._replacement is not None:
            target = replace_prefix(target, self._prefix, self._replacement)
        if not condition:
            return RequestHead(head.method, target, head.minor, head.host, head.shared)
        fields = [field for field in head.fields if field[0].lower() != b"if-none-match"]
        fields.append((b"If-None-Match", condition.value))
        return request_head(head, target, fields, self._limits)


class Compression:
    """The codings of a route, and how many answers are being encoded."""

    def __init__(self, options: CompressionOptions) -> None:
        self.offered = options.offered()
        self.types = options.compressible()
        self.min_bytes = options.min_bytes
        self.max_at_once = options.max_at_once
        self.at_once = 0
        """Answers that are being encoded now."""
        self.encoded = 0
        """Answers that were encoded, ever."""
        self.passed_over = 0
        """Answers that were not, as too many others were."""


class _AnswerChange:
    """What becomes of one answer: see ``relay.Change``."""

    __slots__ = ("_application", "_choice", "_condition", "_exchange", "_limits", "_taken", "_values")

    def __init__(
        self,
        application: TransformingApplication,
        values: Mapping[str, bytes],
        choice: Choice,
        condition: Condition | None,
        exchange: Exchange,
        limits: Limits,
    ) -> None:
        self._application = application
        self._values = values
        self._choice = choice
        self._condition = condition
        self._exchange = exchange
        self._limits = limits
        self._taken = False

    def of(self, head: ResponseHead) -> Coded:
        rules = self._application.answers
        if rules:
            head = self._changed(head, rules)
        compression = self._application.compression
        if compression is None:
            return Coded(IDENTITY, head.fields)
        choice = self._choice
        head_only = self._exchange.head.method == b"HEAD"
        coded = self._coded(head, choice, compression, head_only)
        if coded.coding == IDENTITY or head_only:
            return coded
        if compression.at_once >= compression.max_at_once:
            compression.passed_over += 1
            return self._coded(head, Choice(IDENTITY), compression, head_only)
        compression.at_once += 1
        compression.encoded += 1
        self._taken = True
        return coded

    def over(self) -> None:
        compression = self._application.compression
        if self._taken and compression is not None:
            self._taken = False
            compression.at_once -= 1

    def _coded(self, head: ResponseHead, choice: Choice, compression: Compression, head_only: bool) -> Coded:
        return code(head, choice, self._condition, min_bytes=compression.min_bytes, types=compression.types, head_only=head_only)

    def _changed(self, head: ResponseHead, rules: Rules) -> ResponseHead:
        start = b"HTTP/1.%d %d %b" % (head.minor, head.status, head.reason or REASONS.get(head.status, b""))
        try:
            return parse_response_head(_block(start, rules.apply(head.fields, self._values)), self._limits)
        except BadMessage as error:
            raise BadAnswer from error


def _block(start: bytes, fields: list[Field]) -> bytes:
    return b"%b\r\n%b\r\n" % (start, b"".join([b"%b: %b\r\n" % field for field in fields]))
