"""The look-aside cache as the gateway sees it: one class a kind of URL, and what a server tells of changes."""

from scalability.gateway.cache_clients.changes import Changes
from scalability.gateway.cache_clients.http import HTTPCache
from scalability.gateway.cache_clients.interface import Kept, LookAsideCache
from scalability.gateway.cache_clients.memory import MemoryCache
from scalability.gateway.cache_clients.redis import RedisCache

__all__ = ["Changes", "HTTPCache", "Kept", "LookAsideCache", "MemoryCache", "RedisCache"]
