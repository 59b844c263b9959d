"""The bounded cache whose entries expire: engine, eviction and expiry (PURE), sweeper (LoopingCall)."""

from scalability.ttlcache.engine import OVERHEAD_BYTES, Outcome, Statistics, TTLCache
from scalability.ttlcache.sweeper import Sweeper

__all__ = ["OVERHEAD_BYTES", "Outcome", "Statistics", "Sweeper", "TTLCache"]
