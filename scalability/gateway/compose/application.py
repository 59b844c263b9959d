"""One request becomes several, at the same time, and their JSON one object.

    asking   parts are open; each ends with its members, or fails
    over     answered: with the whole, or, as soon as a required part has failed, with an error that names it; or the client has gone

A part that may fail counts with its fallback then, and the answer says so. At the deadline every open part fails.
"""

from collections.abc import Callable, Mapping, Sequence
from time import time
from typing import Final

import msgspec
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from scalability.errors import (
    AnswerTimeout,
    BadAnswer,
    BadMessage,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    ScalelabError,
    UpstreamError,
)
from scalability.gateway.compose.cache_control import Freshness, all_varies, freshness, strictest
from scalability.gateway.compose.config import ComposeOptions, PartOptions
from scalability.gateway.compose.merge import Members, NotMergeable, members_of, merged
from scalability.gateway.compose.patterns import PathPattern, chosen_query
from scalability.gateway.routing.paths import DottedPath, path_of
from scalability.http1.fields import Field
from scalability.http1.limits import Limits
from scalability.http1.request_head import RequestHead, parse_request_head
from scalability.http1.response_head import ResponseHead
from scalability.net.exchange import Application, Exchange
from scalability.net.failures import JSON, error_fields
from scalability.proxy.inner import InnerConnection, InnerExchange

COMPLETED: Final = b"X-Scalelab-Completed"
"""``true`` when every part has answered, ``false`` when a fallback, or nothing, stands in the place of one."""

_PASSED_ON: Final = frozenset((401, 403, 404, 410))
"""What a required part answers because of who asks, or what for: the whole is answered likewise."""


class PartFailed(UpstreamError):
    """A part that is needed for this answer failed."""

    code = "part_failed"

    def __init__(self, part: str, why: str, status: int, fields: Sequence[Field] = ()) -> None:
        super().__init__(f"The part {part} failed: {why}")
        self.part = part
        self.status = status
        self.fields = tuple(fields)


class _PlannedPart:
    """A part of the configuration, ready to be asked."""

    def __init__(self, options: PartOptions, query: Sequence[str]) -> None:
        self.options = options
        self.target = PathPattern.parse(options.target, query=True)
        self.query = frozenset(name.encode() for name in (query if options.query is None else options.query))
        fallback = options.fallback
        self.fallback: Members = {}
        if fallback is not None:
            named = fallback if options.group is None else {options.group: fallback}
            self.fallback = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in named.items()}


class ComposingApplication:
    """Answers GET and HEAD below a route from parts, each of which ``application`` serves as a request of its own.

    ``wall`` tells the Unix time.
    """

    def __init__(
        self,
        options: ComposeOptions,
        application: Application,
        clock: IReactorTime,
        *,
        limits: Limits,
        wall: Callable[[], float] = time,
    ) -> None:
        self.application = application
        self.clock = clock
        self.wall = wall
        self.limits = limits
        self.timeout_s = options.timeout
        self.max_part_bytes = options.max_part_bytes
        self.parts = [_PlannedPart(part, options.query) for part in options.parts]
        self.fields = frozenset(name.lower().encode() for name in options.fields)
        self.at_once = 0
        self.composed = 0
        """Complete answers."""
        self.incomplete = 0
        """Answers with a fallback, or without a part."""
        self.failed = 0
        """Requests for which a required part failed."""
        self._max_at_once = options.max_at_once
        self._path = PathPattern.parse(options.path)

    def request_received(self, exchange: Exchange) -> None:
        """See ``Application``."""
        head = exchange.head
        if head.method not in (b"GET", b"HEAD"):
            exchange.fail(MethodNotAllowed("Only GET and HEAD are answered here.", allow=("GET", "HEAD")))
            return
        query = head.target.partition(b"?")[2]
        try:
            values = self._path.match(path_of(head.target))
        except DottedPath:
            values = None
        if values is None:
            exchange.fail(NotFound())
        elif self.at_once >= self._max_at_once:
            exchange.fail(Overloaded("too many answers are being composed; try again later"))
        else:
            _Composition(self, exchange, values, query).begin()

    def head_for(self, part: _PlannedPart, asked: RequestHead, values: Mapping[str, bytes], query: bytes) -> RequestHead:
        """What a part is asked. Raises BadMessage when the strict parser would not have it."""
        target = part.target.expand(values, chosen_query(query, part.query))
        lines = [b"GET %b HTTP/1.1" % target, b"Host: %b" % asked.host, b"Accept: application/json"]
        lines += [b"%b: %b" % field for field in asked.fields if field[0].lower() in self.fields]
        return parse_request_head(b"\r\n".join(lines) + b"\r\n\r\n", self.limits)


class _Composition:
    """One answer in the making. It is the receiver of the client's exchange."""

    def __init__(self, application: ComposingApplication, exchange: Exchange, values: Mapping[str, bytes], query: bytes) -> None:
        self.application = application
        self._exchange = exchange
        self._values = values
        self._query = query
        self._over = False
        self._complete = True
        self._open = len(application.parts)
        self._parts: list[_Part] = []
        self._deadline: IDelayedCall | None = None

    def begin(self) -> None:
        """Ask all parts."""
        application, exchange = self.application, self._exchange
        application.at_once += 1
        exchange.receiver = self
        self._deadline = application.clock.callLater(application.timeout_s, self._timed_out)
        self._parts = [_Part(self, planned) for planned in application.parts]
        for part in self._parts:
            if self._over:
                return
            part.ask(exchange, self._values, self._query)

    def part_ended(self) -> None:
        """One more has its members."""
        self._open -= 1
        if not self._open and not self._over:
            self._answer()

    def part_failed(self, part: "_Part", error: PartFailed) -> None:
        """One has none."""
        if self._over:
            return
        if part.planned.options.must_succeed:
            self._fail(error)
            return
        self._complete = False
        self.part_ended()

    # the receiver of the client's exchange

    def body_received(self, data: bytes, ended: bool) -> None:
        """A GET's body means nothing (RFC 9110 section 9.3.1)."""

    def client_lost(self, error: ScalelabError) -> None:
        self._end()

    def client_full(self) -> None:
        """The answer goes out in one piece."""

    def client_ready(self) -> None:
        """Likewise."""

    def _timed_out(self) -> None:
        self._deadline = None
        for part in self._parts:
            if self._over:
                return
            part.time_out()

    def _answer(self) -> None:
        application, exchange = self.application, self._exchange
        body = merged(part.members for part in self._parts)
        fields = [(COMPLETED, b"true" if self._complete else b"false")]
        said = [part.freshness for part in self._parts if part.freshness is not None]
        fields.append((b"Cache-Control", strictest(said, complete=self._complete)))
        varies = all_varies(part.vary for part in self._parts)
        if varies:
            fields.append((b"Vary", varies))
        if self._complete:
            application.composed += 1
        else:
            application.incomplete += 1
        self._end()
        exchange.answer(200, body, JSON, fields)

    def _fail(self, error: PartFailed) -> None:
        self.application.failed += 1
        self._end()
        exchange = self._exchange
        exchange.trouble = error.code
        body = msgspec.json.encode({"error": error.code, "message": str(error), "part": error.part})
        exchange.answer(error.status, body, JSON, [*error_fields(error), *error.fields])

    def _end(self) -> None:
        if self._over:
            return
        self._over = True
        self.application.at_once -= 1
        deadline, self._deadline = self._deadline, None
        if deadline is not None:
            deadline.cancel()
        for part in self._parts:
            part.cancel()


class _Part:
    """One part of one answer: ``proxy.inner.AnswerReader``."""

    def __init__(self, whole: _Composition, planned: _PlannedPart) -> None:
        self.planned = planned
        self.members: Members = planned.fallback
        self.freshness: Freshness | None = None
        self.vary = b""
        self._whole = whole
        self._inner: InnerExchange | None = None
        self._over = False
        self._head: ResponseHead | None = None
        self._body = bytearray()
        self._asked_s = 0.0

    def ask(self, exchange: Exchange, values: Mapping[str, bytes], query: bytes) -> None:
        """Ask for it, in the client's name."""
        application = self._whole.application
        try:
            head = application.head_for(self.planned, exchange.head, values, query)
        except BadMessage as error:
            self._fail(str(error), error.status)
            return
        connection = InnerConnection(exchange.connection.factory, exchange)
        self._asked_s = connection.factory.seconds()
        inner = self._inner = InnerExchange(head, self, connection, limits=application.limits)
        inner.request_id = exchange.request_id
        inner.ask(application.application)

    def time_out(self) -> None:
        """The deadline has come."""
        if not self._over:
            self._fail("it did not answer in time", AnswerTimeout.status)

    def cancel(self) -> None:
        """Nobody needs it any more."""
        self._over = True
        if self._inner is not None and not self._inner.over:
            self._inner.cancel()

    def interim_received(self, head: ResponseHead) -> None:
        """Says nothing of the answer."""

    def head_received(self, head: ResponseHead) -> None:
        if not 200 <= head.status < 300:
            passed = head.status in _PASSED_ON
            fields = [(b"WWW-Authenticate", value) for value in head.get_all(b"www-authenticate")] if head.status == 401 else []
            self._fail(f"it answered {head.status}", head.status if passed else BadAnswer.status, fields)
        elif (head.content_length or 0) > self._whole.application.max_part_bytes:
            self._too_large()
        else:
            self._head = head

    def body_received(self, data: bytes) -> None:
        if self._over:
            return
        self._body += data
        if len(self._body) > self._whole.application.max_part_bytes:
            self._too_large()

    def answer_ended(self, trailers: tuple[Field, ...]) -> None:
        if self._over:
            return
        head, options = self._head, self.planned.options
        assert head is not None
        assert self._inner is not None
        try:
            self.members = members_of(bytes(self._body), options.group, options.pick)
        except NotMergeable as error:
            self._fail(str(error), BadAnswer.status)
            return
        self.freshness = freshness(head, self._asked_s, self._inner.connection.factory.seconds(), self._whole.application.wall())
        self.vary = b",".join(head.get_all(b"vary"))
        self._over = True
        self._whole.part_ended()

    def answer_failed(self, error: ScalelabError) -> None:
        self._fail(str(error), 504 if error.status == 504 else BadAnswer.status)

    def _too_large(self) -> None:
        self._fail(f"its answer is larger than {self._whole.application.max_part_bytes} bytes", BadAnswer.status)

    def _fail(self, why: str, status: int, fields: Sequence[Field] = ()) -> None:
        if self._over:
            return
        self.cancel()
        self._whole.part_failed(self, PartFailed(self.planned.options.name, why, status, fields))
