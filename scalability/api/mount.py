"""A Klein app on a listening socket."""

from klein import Klein
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import Site

from scalability.api.json import MAX_BODY_BYTES


def mount(app: Klein | IResource, *, reactor: IReactorTime, max_body_bytes: int = MAX_BODY_BYTES) -> IProtocolFactory:
    """The protocol factory that serves ``app`` (a Klein app or the resource of one bound to an instance).

    Bodies above ``max_body_bytes`` are answered 413. The only place that knows which HTTP server carries Klein.
    """
    resource = app.resource() if isinstance(app, Klein) else app
    site = Site(resource, reactor=reactor, timeout=75)
    site.displayTracebacks = False
    site.noisy = False
    return site
