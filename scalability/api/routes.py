"""Klein's routing with what the suite adds: the template for metrics, slashes left alone, errors that are JSON."""

from typing import Any, cast

from klein import Klein
from klein.resource import KleinResource
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from scalability.api.failures import answer_failure
from scalability.errors import ScalelabError


def routes(app: Klein | Resource) -> Resource:
    """The resource that answers for ``app``: a Klein app, the resource of one bound to an instance, or any other resource."""
    if isinstance(app, Klein):
        bound = app
    elif isinstance(app, KleinResource):
        bound = app._app
    else:
        return app
    # "/cache/a//b" is another key than "/cache/a/b": no redirect from one to the other
    bound.url_map.merge_slashes = False
    return cast(Resource, KleinResource(cast(Klein, _Routed(bound))))


class _Routed:
    """Stands in front of a Klein app where its resource looks for one."""

    def __init__(self, app: Klein) -> None:
        self._app = app
        self._templates = {rule.endpoint: rule.rule for rule in app.url_map.iter_rules()}
        self.url_map = app.url_map
        self.endpoints = app.endpoints
        self.execute_error_handler = app.execute_error_handler
        # the app's own handlers come first; whatever they leave becomes JSON, also in an app without json_errors
        self._error_handlers: list[Any] = [*app._error_handlers, ([Exception], answer_failure)]

    def execute_endpoint(self, endpoint: str, request: Any, *args: Any, **kwargs: Any) -> Any:
        request.route = self._templates.get(endpoint, "")
        result = self._app.execute_endpoint(endpoint, request, *args, **kwargs)
        if isinstance(result, Deferred) and (not result.called or result.paused):
            result.addErrback(_unless_gone, request)
        return result


def _unless_gone(failure: Failure, request: Any) -> Failure:
    # The client left, the handler was cancelled and said so in its own words: nothing for the log.
    if request._disconnected and failure.check(ScalelabError):
        return Failure(CancelledError())
    return failure
