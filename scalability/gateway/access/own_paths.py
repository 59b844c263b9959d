"""The policies of the gateway's own paths: ``/data`` and ``/longtask`` ask for keys and tokens, all but two count for the limits."""

from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_to_bytes

from scalability.gateway.access.assembly import Access
from scalability.gateway.access.config import APIKeyOptions, CorsOptions, JWTOptions
from scalability.gateway.access.policy import AccessPolicy
from scalability.http1.request_head import RequestHead

SECURED: Final = ("/data", "/longtask")
UNLIMITED: Final = ("/health", "/metrics")
"""What watches the gateway must never be told to come again later."""
OTHERS: Final = "*"
"""The name of the policy of all other paths."""


def path_of(target: bytes) -> bytes:
    """The path that a route is found by: decoded, without doubled slashes and one at the end, however the client wrote it."""
    decoded = unquote_to_bytes(target.partition(b"?")[0])
    return b"/" + b"/".join(filter(None, decoded.split(b"/")))


def own_policies(
    access: Access, *, cors: CorsOptions | None, api_keys: APIKeyOptions | None, jwt: JWTOptions | None
) -> Callable[[RequestHead], AccessPolicy | None] | None:
    """What finds a request's policy; None where nothing is asked for at all. Raises ConfigError. Blocks: it reads files."""
    by_path = {name.encode(): access.policy(name, cors=cors, api_keys=api_keys, jwt=jwt) for name in SECURED}
    by_path |= {name.encode(): access.policy(name, cors=cors, limited=False) for name in UNLIMITED}
    others = access.policy(OTHERS, cors=cors)
    if not others and not any(by_path.values()):
        return None

    def policy_of(head: RequestHead) -> AccessPolicy | None:
        target = head.target
        # as almost everybody writes it
        policy = by_path.get(target)
        return policy or by_path.get(path_of(target), others)

    return policy_of
