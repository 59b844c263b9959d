"""``twistd -n scalelab-gateway``."""

from pathlib import Path

from twisted.application.service import IService

from scalability.api.admin_token import read_token
from scalability.config import CommandLine, command_line
from scalability.config.written import check_appended
from scalability.gateway.access.config import read_secret
from scalability.gateway.access.key_file import read_key_file
from scalability.gateway.access.key_files import check_files
from scalability.gateway.cache_clients.redis_server import check_files as check_redis_files
from scalability.gateway.config import GatewayOptions
from scalability.gateway.routing.checking import check_routes
from scalability.gateway.routing.shaping import validation_of

_Options: type[CommandLine[GatewayOptions]] = command_line(
    "scalelab-gateway", GatewayOptions, "API gateway: cached data, long tasks, business logic; each dependency may fail."
)


class Options(_Options):  # type: ignore[valid-type,misc]  # made by a function
    """The command line."""

    def check(self, config: GatewayOptions) -> None:
        """Look whether secrets, keys and the descriptions of APIs can be read."""
        if config.cache.redis is not None:
            check_redis_files(config.cache.redis)
        if config.jwt_secret_file is not None:
            read_secret(config.jwt_secret_file)
        if config.api_keys is not None:
            read_key_file(Path(config.api_keys.file), "[gateway] api_keys")
        if config.admin_token_file is not None:
            read_token(config.admin_token_file)
        if config.access_log is not None:
            check_appended("--access-log", config.access_log)
        check_routes(config)
        for route in config.all_routes:
            check_files(route.path, route.api_keys, route.jwt, config.jwt())
            if route.validate is not None:
                validation_of(route, route.validate)


def makeService(options: CommandLine[GatewayOptions]) -> IService:
    """The service that twistd runs."""
    from scalability.net.reactor import install

    reactor = install()
    from scalability.gateway.service import gateway_service
    from scalability.lifecycle.garbage import RareCollections

    service = gateway_service(reactor, options.config)
    RareCollections().setServiceParent(service)
    return service
