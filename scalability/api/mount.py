"""A Klein app on a listening socket."""

from collections.abc import Callable
from time import time

from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource

from scalability.api.adapter import APIFactory
from scalability.api.json import MAX_BODY_BYTES
from scalability.api.routes import routes


def mount(
    app: Klein | Resource, *, reactor: IReactorTime, max_body_bytes: int = MAX_BODY_BYTES, wall: Callable[[], float] = time
) -> APIFactory:
    """The protocol factory that serves ``app`` (a Klein app or the resource of one bound to an instance).

    Bodies above ``max_body_bytes`` are answered 413. Its ``metrics`` are a MetricSet: durations by method, route and status.
    ``wall`` tells the Unix time, for the Date field.
    The only place that knows which HTTP server carries Klein.
    """
    return APIFactory(routes(app), reactor, max_body_bytes, wall=wall)
