"""TLS towards servers: what their connections are wrapped into."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalability.net.connection_attempt import Secure

if TYPE_CHECKING:
    from scalability.net.tls import ServerTLS  # loads OpenSSL, which most do without


def securing(reactor: Any, *, ca: Path | None, verify: bool) -> Callable[[str], Secure | None]:
    """What makes, of the name in a server's certificate, what its connections are wrapped into; of no name none.

    ``ca`` is a file of authorities whose word counts instead of the system's. Raises ConfigError when it is given and cannot be used:
    now, when that may still end the process; servers may come to speak TLS later.
    """

    @cache
    def servers() -> "ServerTLS":
        from scalability.net.tls import ServerTLS  # likewise

        return ServerTLS(reactor, ca=ca, verify=verify)

    if ca is not None:
        servers()
    return lambda name: servers().wrap(name) if name else None
