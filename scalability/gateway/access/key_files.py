"""Whether what a route names can be used, found out before anything runs."""

from pathlib import Path

from scalability.errors import ConfigError
from scalability.gateway.access.config import APIKeyOptions, JWTOptions
from scalability.gateway.access.key_file import read_key_file


def option_of(name: str, table: str) -> str:
    """How the configuration calls the ``table`` of the route ``name``, of the gateway itself when that is empty."""
    return f"[gateway] routes {name} {table}" if name else f"[gateway] {table}"


def no_key(name: str) -> ConfigError:
    """What is wrong with a route that asks for tokens and has nothing to check them with."""
    return ConfigError(option_of(name, "jwt"), "there is no key: give it one, or the gateway (--jwt-secret-file, --jwks-url)")


def check_files(name: str, api_keys: APIKeyOptions | None, jwt: JWTOptions | None, gateways: JWTOptions | None) -> None:
    """Whether the route has keys, its own or those of ``gateways``, and its files can be read. Raises ConfigError. Blocks."""
    if api_keys is not None:
        read_key_file(Path(api_keys.file), option_of(name, "api_keys"))
    if jwt is not None:
        jwt.fixed_keys(option_of(name, "jwt"))
        if not jwt.has_keys and gateways is None:
            raise no_key(name)
