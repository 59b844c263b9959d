"""What a reload changes, and whether a running balancer can take it in."""

from typing import Any, NamedTuple, Self

from scalability.balancer.config import BalancerOptions
from scalability.config.load import dump, to_toml
from scalability.upstream.sources import Files

SERVERS = frozenset(("backend",))
ADMIN = frozenset(("admin_token_file",))
CHECKS = frozenset(
    (
        "health_mode",
        "health_path",
        "health_method",
        "health_header",
        "health_status",
        "health_body",
        "health_interval",
        "health_timeout",
        "health_fast_interval",
        "health_down_interval",
        "health_jitter",
        "health_initial",
        "resolve_interval",
    )
)
"""What only the process that decides about the servers wants to know."""
TRAFFIC = frozenset(
    (
        "health_rise",
        "health_fall",
        "panic_percent",
        "slow_start",
        "max_queue",
        "queue_timeout",
        "eject_failures",
        "eject_time",
        "eject_percent",
        "breaker_percent",
        "retries",
        "retry_on",
        "retry_budget",
        "retry_body_bytes",
        "hedge_after",
        "connect_timeout",
        "answer_timeout",
        "total_timeout",
        "header_timeout",
        "body_timeout",
        "min_body_rate",
        "idle_timeout",
        "tunnel_timeout",
        "max_header_bytes",
        "max_headers",
        "max_target_bytes",
        "max_body_bytes",
        "max_connections_per_client",
    )
)
"""What every process wants to know that serves clients."""
MEASURES = frozenset(("max_header_bytes", "max_headers", "max_target_bytes", "max_body_bytes"))
"""What checks too are read with."""
RELOADABLE = SERVERS | ADMIN | CHECKS | TRAFFIC
"""The keys whose values are read whenever they are needed. All others, those that will be added too, need a restart."""

MAX_NAMED = 10
"""As many servers and the like are named in one line; of more, only how many there are."""


class Change(NamedTuple):
    """From one configuration to another; see ``between``."""

    old: BalancerOptions
    new: BalancerOptions
    files: Files
    """Those that are named only now."""
    keys: frozenset[str]
    """What differs, as its users call it."""
    what: str
    """The same in one line of bounded length: ``backend +10.0.0.3:80 -10.0.0.2:80, idle_timeout 75.0 -> 30.0``."""

    @classmethod
    def between(cls, old: BalancerOptions, new: BalancerOptions, files: Files) -> Self:
        """Compare. With 10,000 servers that takes tens of milliseconds."""
        before, after = dump(old), dump(new)
        keys = [key for key in before if before[key] != after[key]]
        return cls(old, new, files, frozenset(keys), ", ".join(f"{key} {_difference(before[key], after[key])}" for key in keys))

    def touches(self, keys: frozenset[str]) -> bool:
        """Whether one of ``keys`` differs."""
        return not self.keys.isdisjoint(keys)

    @property
    def fixed(self) -> tuple[str, ...]:
        """The keys that differ and that a running balancer cannot take in, in alphabetical order."""
        return tuple(sorted(self.keys - RELOADABLE))


def _difference(was: Any, now: Any) -> str:
    if not isinstance(now, list):
        return f"{_shown(was)} -> {_shown(now)}"
    before, after = set(was), set(now)
    marked = [f"+{item}" for item in now if item not in before] + [f"-{item}" for item in was if item not in after]
    more = len(marked) - MAX_NAMED
    return " ".join(marked[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "") or "in another order"


def _shown(value: object) -> str:
    words = "off" if value is None else to_toml(value)
    return words if len(words) <= 80 else words[:77] + "..."
