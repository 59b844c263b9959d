"""Klein's routing, with what the suite adds: a short way for the usual answers, the template for metrics, errors that are JSON.

Klein's resource makes two dozen objects for each request, so that a route may return almost anything. What routes here return is
bytes, now or later; for that the way is short (25 us instead of 42). Whatever else happens, an error or another kind of result, is
handed to Klein's own resource, which then does with it what it always does.
"""

from typing import Any, cast
from urllib.parse import unquote_to_bytes

from klein import Klein
from klein._app import KleinRequest
from klein.interfaces import IKleinRequest
from klein.resource import KleinResource
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from werkzeug.exceptions import HTTPException

from scalability.api.failures import answer_failure
from scalability.api.request import APIRequest
from scalability.api.streaming import LIMIT_ATTRIBUTE
from scalability.errors import MethodNotAllowed, NotFound, ScalelabError
from scalability.http1.request_head import RequestHead


def routes(app: Klein | Resource) -> Resource:
    """The resource that answers for ``app``: a Klein app, the resource of one bound to an instance, or any other resource."""
    if isinstance(app, Klein):
        return Routes(app)
    if isinstance(app, KleinResource):
        return Routes(app._app)
    return app


class Routes(KleinResource):
    """A Klein app as a resource for ``APIRequest``."""

    log = Logger()

    def __init__(self, app: Klein) -> None:
        # "/cache/a//b" is another key than "/cache/a/b": no redirect from one to the other
        app.url_map.merge_slashes = False
        self._routed = _Routed(app)
        super().__init__(cast(Klein, self._routed))
        # One for all requests: paths, and never host names, choose a route.
        self._mapper = app.url_map.bind("localhost")
        self._templates = {rule.endpoint: rule.rule for rule in app.url_map.iter_rules()}
        self._streaming = {
            endpoint: limit for endpoint, route in app.endpoints.items() if (limit := getattr(route, LIMIT_ATTRIBUTE, None)) is not None
        }
        self._segments = {endpoint: getattr(route, "segment_count", 0) for endpoint, route in app.endpoints.items()}

    def streams_body_up_to(self, head: RequestHead) -> int | None:
        """The limit of the route that wants the body of this request as it comes; None for all others."""
        if not self._streaming:
            return None
        try:
            path = unquote_to_bytes(head.target.partition(b"?")[0]).decode()
            endpoint, _ = self._mapper.match(path, head.method.decode("ascii"))
        except (HTTPException, UnicodeDecodeError):
            return None  # whatever it is, it is said when the request is routed
        return self._streaming.get(cast(Any, endpoint))

    def render(self, request: Any) -> Any:
        postpath: list[bytes] = request.postpath
        path, method = "/" + b"/".join(postpath).decode(), request.method.decode("ascii")
        if method != method.upper():
            # methods are case-sensitive (RFC 9110 section 9.1), and werkzeug takes "get" for GET
            raise self._no_such_method(path)
        try:
            rule, values = self._mapper.match(path, method, return_rule=True)
        except HTTPException:
            return super().render(request)  # which routes it again, and has the error handlers answer
        endpoint: str = cast(Any, rule).endpoint
        request.route = self._templates.get(endpoint, "")
        request.mapper = self._mapper
        segments = self._segments[endpoint]
        request.prepath, request.postpath = postpath[:segments], postpath[segments:]
        try:
            result = self._routed.execute_endpoint(endpoint, request, **values)
        except Exception:
            result = fail()
        if type(result) is bytes:
            self._answer(result, request, postpath)
        elif isinstance(result, Deferred):
            request.running = result
            result.addCallbacks(self._answer, self._fail, (request, postpath), {}, (request, postpath)).addErrback(_unanswerable, request)
        else:
            self._answer(result, request, postpath)
        return NOT_DONE_YET

    def _no_such_method(self, path: str) -> ScalelabError:
        allowed = tuple(sorted(self._mapper.allowed_methods(path)))
        return MethodNotAllowed(allow=allowed) if allowed else NotFound()

    def _answer(self, result: Any, request: Any, postpath: list[bytes]) -> None:
        request.running = None
        if request._disconnected or request.finished:
            return
        if type(result) is bytes:
            sized = request.startedWriting or request.code in (204, 304) or request.responseHeaders.hasHeader(b"content-length")
            if not sized and (result or request.method != b"HEAD"):  # nothing, to HEAD, may stand for something
                request.setHeader(b"content-length", b"%d" % len(result))  # all of it is here: no chunks
            request.write(result)
            if not request.finished and not request._disconnected:
                request.finish()
        else:
            self._replay(succeed(result), request, postpath)

    def _fail(self, failure: Failure, request: Any, postpath: list[bytes]) -> None:
        request.running = None
        if not request._disconnected and not request.finished:
            self._replay(fail(failure), request, postpath)
        elif request.finished or not failure.check(CancelledError, ScalelabError):
            # the others say that the handler was cancelled, some of them in its own words
            self.log.failure("a route failed after its answer, or after its client had left", failure)

    def _replay(self, outcome: "Deferred[Any]", request: Any, postpath: list[bytes]) -> None:
        """Have Klein's resource deal with ``outcome``, as if the route had just come to it."""
        request.prepath, request.postpath = [], postpath
        KleinResource(cast(Klein, _Routed(self._routed.app, outcome))).render(request)


def _unanswerable(failure: Failure, request: Any) -> None:
    # not the route: sending what it returned has failed
    request.processingFailed(failure)


class _Routed:
    """Stands in for a Klein app where its resource looks for one; with an ``outcome``, the route has come to that already."""

    def __init__(self, app: Klein, outcome: "Deferred[Any] | None" = None) -> None:
        self.app = app
        self._outcome = outcome
        self.url_map = app.url_map
        self.endpoints = app.endpoints
        self.execute_error_handler = app.execute_error_handler
        # the app's own handlers come first; whatever they leave becomes JSON, also in an app without json_errors
        self._error_handlers: list[Any] = [*app._error_handlers, ([Exception], answer_failure)]

    def execute_endpoint(self, endpoint: str, request: Any, *args: Any, **kwargs: Any) -> Any:
        if self._outcome is not None:
            return self._outcome
        return self.app.execute_endpoint(endpoint, request, *args, **kwargs)


def _klein_request(request: APIRequest) -> KleinRequest:
    known = KleinRequest(request)
    known.mapper = request.mapper
    return known


registerAdapter(_klein_request, APIRequest, IKleinRequest)
