"""A Klein app on a listening socket."""

from io import BytesIO
from typing import Any

from klein import Klein
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import Site

from scalability.api.json import MAX_BODY_BYTES, error_answer
from scalability.api.request import APIRequest
from scalability.api.routes import routes
from scalability.errors import BodyTooLarge
from scalability.telemetry import MetricSet
from scalability.telemetry.http_metrics import HTTPServerMetrics


def mount(app: Klein | IResource, *, reactor: IReactorTime, max_body_bytes: int = MAX_BODY_BYTES) -> IProtocolFactory:
    """The protocol factory that serves ``app`` (a Klein app or the resource of one bound to an instance).

    Bodies above ``max_body_bytes`` are answered 413. Its ``metrics`` are a MetricSet: durations by method, route and status.
    The only place that knows which HTTP server carries Klein.
    """
    return _Site(routes(app), reactor, max_body_bytes)


class _Site(Site):
    noisy = False
    displayTracebacks = False  # noqa: N815 - Twisted's name

    def __init__(self, resource: IResource, reactor: Any, max_body_bytes: int) -> None:
        super().__init__(resource, _SiteRequest, parsePOSTFormSubmission=False, reactor=reactor, timeout=75)
        self.clock: IReactorTime = reactor
        self.max_body_bytes = max_body_bytes
        self.metrics = MetricSet()
        self.http = HTTPServerMetrics(self.metrics)

    def log(self, request: Any) -> None:
        """Nothing: requests go to metrics."""


class _SiteRequest(APIRequest):
    content: Any
    _body_bytes = 0

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        super().gotLength(length)
        self._count_body(length or 0)
        self._body_bytes = 0

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self._body_bytes += len(data)
        if not self.finished and self._count_body(self._body_bytes):
            self.content.write(data)

    def _count_body(self, length: int) -> bool:
        if length <= self.channel.site.max_body_bytes:
            return True
        # Answered at once, instead of reading on for nothing; the connection ends because its rest means nothing any more.
        channel, self.channel.persistent = self.channel, 0
        self.clientproto, self.method = b"HTTP/1.1", b"POST"
        self.setHeader(b"connection", b"close")
        self.content = BytesIO()
        self.write(error_answer(self, BodyTooLarge(f"the body is larger than {channel.site.max_body_bytes} bytes")))
        self.finish()
        channel.dataReceived = channel.rawDataReceived = _ignore
        return False


def _ignore(data: bytes) -> None:
    pass
