"""The request that Klein's routes see: twisted.web's, without its HTML, its banner and its ways to show a traceback.

It is the same whichever server carries it; ``scalability.api.mount`` says which one does.
"""

import re
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.error import UnsupportedMethod
from twisted.web.http import NO_BODY_CODES
from twisted.web.resource import Resource, getChildForRequest

from scalability.api.json import error_answer
from scalability.errors import BrokenAnswer, ClientError, ClientGone, MethodNotAllowed, ScalelabError
from scalability.telemetry.http_metrics import HTTPServerMetrics

_LABEL = rb"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOSTNAME = re.compile(rb"(" + _LABEL + rb"(?:\." + _LABEL + rb")*+\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?\Z")


class Mounted(Protocol):
    """What a request needs to know of where it was mounted (``channel.site`` in twisted.web's words)."""

    resource: Resource
    clock: IReactorTime
    http: HTTPServerMetrics


class APIRequest(server.Request):
    """One request. Attributes that twisted.web defines are its own; ``route`` is ours."""

    defaultContentType = b"text/plain; charset=utf-8"  # noqa: N815 - Twisted's name
    site: Any
    channel: Any
    route = ""
    """The template that matched, for metrics: a path would be a label that clients choose."""
    mapper: Any = None
    """For Klein's ``url_for``."""
    stream: Any = None
    """The body, for a route that gets it as it comes (``api.streaming``); ``content`` is None then."""
    sitepath: list[bytes] = []  # noqa: RUF012 - twisted.web's name; it makes the name of a session's cookie of it
    running: Deferred[Any] | None = None
    """What the route waits for; cancelled when the client leaves."""
    _started_s: float | None = None

    @property
    def asked_host(self) -> bytes:
        """Whom the client asks, as it said it: ``HOST`` or ``HOST:PORT``, empty when it did not say."""
        return self.getHeader(b"host") or b""

    def getRequestHostname(self) -> bytes:  # noqa: N802 - Twisted's name
        """The host that the client asks for, without its port; what is none that DNS could know is ``localhost``.

        Klein hands it to werkzeug, which answers such a one with an exception outside of any handler's reach.
        """
        found = _HOSTNAME.match(self.asked_host)
        return b"localhost" if found is None else found[1]

    def process(self) -> None:
        """Route the request: called when all of it is here."""
        site: Mounted = self.channel.site
        self.site = site
        self._started_s = site.clock.seconds()
        site.http.active.value += 1
        if self.path == b"*":
            # the server as a whole (RFC 9110 section 9.3.7): nothing here can be done with it
            self._refuse(ClientError("* names no resource"))
            return
        path = unquote_to_bytes(self.path)
        try:
            path.decode()
        except UnicodeDecodeError as error:
            self._refuse(ClientError(f"the path is not UTF-8 (byte {error.start})"))
            return
        self.prepath = []
        self.postpath = path[1:].split(b"/")
        try:
            self.render(getChildForRequest(site.resource, self))
        except Exception:
            self.processingFailed(Failure())

    def render(self, resource: Any) -> None:
        """Have ``resource`` answer; what it raises is answered as JSON."""
        try:
            body = resource.render(self)
        except UnsupportedMethod as error:
            allowed: Any = error.allowedMethods
            self._refuse(MethodNotAllowed(allow=tuple(sorted(name.decode("latin-1") for name in allowed))))
        except ScalelabError as error:
            self._refuse(error)
        else:
            if body is not server.NOT_DONE_YET:
                # An answer without a body may have said the length that it stands for: a file's, to HEAD
                if body or not (self.method == b"HEAD" or self.code in NO_BODY_CODES):
                    self.setHeader(b"content-length", b"%d" % len(body))
                self.write(body)
                self.finish()

    def processingFailed(self, reason: Failure) -> Failure:  # noqa: N802 - Twisted's name
        """Answer 500 without a word about ``reason``, which goes to the log. What was begun already is broken off visibly."""
        self._log.failure("a request failed", reason)
        if self._disconnected or self.finished:
            return reason
        if self.startedWriting:
            self.abort()
        else:
            self._refuse(ScalelabError("this server made a mistake; its log says more"))
        return reason

    def abort(self) -> None:
        """Close the connection at once, so that the client sees a broken answer and never a complete one."""
        self._count(BrokenAnswer.status)
        if self.channel is not None:
            self.channel.transport.abortConnection()

    def finish(self) -> None:
        if not self.finished and not self._disconnected:
            self._count(self.code)
        super().finish()

    def connectionLost(self, reason: Failure) -> None:
        self._count(ClientGone.status)
        super().connectionLost(reason)
        running, self.running = self.running, None
        if running is not None:
            running.cancel()

    def _refuse(self, error: ScalelabError) -> None:
        self.write(error_answer(self, error))
        self.finish()

    def _count(self, status: int) -> None:
        started, self._started_s = self._started_s, None
        if started is not None:
            http: HTTPServerMetrics = self.site.http
            http.active.value -= 1
            http.record(self.method, self.route, status, self.site.clock.seconds() - started)
