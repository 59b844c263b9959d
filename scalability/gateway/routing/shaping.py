"""What stands between a route's cache and its servers: validation, then rewriting and compression, then the servers or the composition."""

from collections.abc import Callable
from time import time

from twisted.internet.interfaces import IReactorTime

from scalability.errors import ConfigError
from scalability.gateway.compose.application import ComposingApplication
from scalability.gateway.openapi.application import ValidatingApplication
from scalability.gateway.openapi.checkers import Checkers
from scalability.gateway.openapi.config import ValidateOptions
from scalability.gateway.openapi.validation import Validation
from scalability.gateway.routing.config import RouteOptions
from scalability.gateway.transform.application import Compression, TransformingApplication
from scalability.gateway.transform.request_fields import FieldsApplication
from scalability.gateway.transform.turns import Turns
from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.http1.trust import NOBODY, Networks
from scalability.net.exchange import Application


def validation_of(route: RouteOptions, options: ValidateOptions) -> Validation:
    """What checks the requests of ``route``. Reads the document; raises ConfigError."""
    try:
        return options.validation()
    except ValueError as error:
        raise ConfigError(f"routes {route.path} validate", str(error)) from error


class Shape:
    """A route's applications, for what they counted; those that the route does not have are None.

    ``application`` is the first of those that stand behind the route's cache; ``before`` puts in front of the cache what belongs there.
    """

    def __init__(
        self,
        route: RouteOptions,
        servers: Application | None,
        parts: Application,
        clock: IReactorTime,
        *,
        limits: Limits = DEFAULT_LIMITS,
        trusted: Networks = NOBODY,
        turns: Turns | None = None,
        checkers: Checkers | None = None,
        wall: Callable[[], float] = time,
    ) -> None:
        """``servers`` forwards to the servers of the route, unless it is composed; ``parts`` serves what a composed one asks for;
        proxies in ``trusted`` are believed who their client is; all bodies that are encoded in this process share ``turns``;
        large ones are validated by ``checkers``. ``wall`` tells the Unix time.

        Raises ConfigError when the OpenAPI document cannot be used.
        """
        self._route = route
        self._limits = limits
        self._trusted = trusted
        self.composing: ComposingApplication | None = None
        self.transforming: TransformingApplication | None = None
        self.validating: ValidatingApplication | None = None
        if route.compose is not None:
            self.composing = ComposingApplication(route.compose, parts, clock, limits=limits, wall=wall)
            self.application: Application = self.composing
        else:
            assert servers is not None
            self.application = servers
        if route.compression is not None or TransformingApplication.needed(route.rewrite):
            self.application = self.transforming = TransformingApplication(
                self.application,
                clock,
                prefix=route.path,
                limits=limits,
                rewrite=route.rewrite,
                compression=route.compression,
                turns=turns,
            )
        if route.validate is not None:
            validation = validation_of(route, route.validate)
            self.application = self.validating = ValidatingApplication(
                validation, self.application, max_body_bytes=route.validate.max_body, checkers=checkers
            )

    @property
    def compression(self) -> Compression | None:
        """The route's codings, and what they count."""
        return None if self.transforming is None else self.transforming.compression

    def before(self, application: Application) -> Application:
        """``application``, which is the cache or what stands behind it, with requests' fields changed before it sees them."""
        rewrite = self._route.rewrite
        if rewrite is None or not FieldsApplication.needed(rewrite):
            return application
        return FieldsApplication(application, rewrite, prefix=self._route.path, limits=self._limits, trusted=self._trusted)
