"""The look-aside cache: values by key from the process, from the cache that all gateways share, from their source (docs/caching.md)."""

from scalability.gateway.look_aside.look import Found, Load, LookAside, Origin
from scalability.gateway.look_aside.policy import Policy
from scalability.gateway.look_aside.route_cache import RouteCache

__all__ = ["Found", "Load", "LookAside", "Origin", "Policy", "RouteCache"]
