"""What a route's table ``[gateway.routes.cache]`` may say."""

from typing import Annotated

import msgspec

from scalability.gateway.http_cache.freshness import Heuristics
from scalability.gateway.http_cache.storing import Storing


class CacheOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The route's HTTP cache (RFC 9111). On by default: origins say in Cache-Control what may be stored, and nothing else is."""

    enabled: bool = True
    """False: every request goes to the servers, and answers are left as they are."""
    store_set_cookie: bool = False
    """Whether answers with Set-Cookie may be stored: their cookie is given to everybody."""
    store_partial: bool = True
    """Whether 206 answers are stored and put together."""
    heuristic_fraction: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    """The lifetime of an answer that states none: this part of the time since its Last-Modified; 0: none."""
    heuristic_max_s: Annotated[int, msgspec.Meta(ge=0, le=31_536_000)] = 86_400
    """The longest such lifetime, in seconds."""
    stale_if_disconnected_s: Annotated[float, msgspec.Meta(ge=0, le=31_536_000)] = 0.0
    """For so many seconds after it turned stale an answer stands in when no server answers, unless it forbids that itself."""

    def storing(self) -> Storing:
        """The same for the pure modules."""
        return Storing(
            heuristics=Heuristics(self.heuristic_fraction, self.heuristic_max_s),
            set_cookie=self.store_set_cookie,
            partial=self.store_partial,
        )
