"""A look at the files that routes name, before a gateway is started with them."""

from scalability.errors import ConfigError
from scalability.gateway.config import GatewayOptions
from scalability.upstream.discovery import ServerFile, read_servers


def check_routes(options: GatewayOptions) -> None:
    """Whether the files that routes name can be read. Raises ConfigError. Blocks."""
    for route in options.all_routes:
        if route.compose is not None:
            continue
        try:
            for backend in route.backends:
                if isinstance(backend.source, ServerFile):
                    read_servers(backend.source.path)
            if route.upstream.authorities is not None:
                from scalability.net.tls import Authorities  # loads OpenSSL, which most do without

                Authorities(route.upstream.authorities)
        except ConfigError as error:
            raise ConfigError(f"[gateway] routes {route.path}", str(error)) from error
