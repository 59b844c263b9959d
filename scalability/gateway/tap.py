"""``twistd -n scalelab-gateway``."""

from twisted.application.service import IService

from scalability.config import CommandLine, command_line
from scalability.gateway.config import GatewayOptions, read_secret
from scalability.gateway.routing.shaping import validation_of

_Options: type[CommandLine[GatewayOptions]] = command_line(
    "scalelab-gateway", GatewayOptions, "API gateway: cached data, long tasks, business logic; each dependency may fail."
)


class Options(_Options):  # type: ignore[valid-type,misc]  # made by a function
    """The command line."""

    def check(self, config: GatewayOptions) -> None:
        """Look whether the secret and the descriptions of APIs can be read."""
        if config.jwt_secret_file is not None:
            read_secret(config.jwt_secret_file)
        for route in config.all_routes:
            if route.validate is not None:
                validation_of(route, route.validate)


def makeService(options: CommandLine[GatewayOptions]) -> IService:
    """The service that twistd runs."""
    from scalability.net.reactor import install

    reactor = install()
    from scalability.gateway.service import gateway_service

    return gateway_service(reactor, options.config)
