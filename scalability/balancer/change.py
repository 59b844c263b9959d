"""What a reload changes, and whether a running balancer can take it in."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from scalability.balancer.config import BalancerOptions
from scalability.config.load import dump, to_toml
from scalability.upstream.discovery import FileReading

SERVERS = frozenset(("backend",))
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
        "eject",
        "eject_percent",
        "breaker_percent",
        "retries",
        "retry_on",
        "retry_budget",
        "retry_body_bytes",
        "connect_timeout",
        "answer_timeout",
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
RELOADABLE = SERVERS | CHECKS | TRAFFIC
"""The keys whose values are read whenever they are needed. All others, those that will be added too, need a restart."""

MAX_NAMED = 10
"""As many servers and the like are named in one line; of more, only how many there are."""

Files = Mapping[Path, FileReading]
"""What files of servers said."""


class Change(NamedTuple):
    """From one configuration to another."""

    old: BalancerOptions
    new: BalancerOptions
    files: Files
    """Those that are named only now."""

    @property
    def keys(self) -> frozenset[str]:
        """What differs, as its users call it."""
        return differing(self.old, self.new)

    def touches(self, keys: frozenset[str]) -> bool:
        """Whether one of ``keys`` differs."""
        return not self.keys.isdisjoint(keys)


def differing(old: BalancerOptions, new: BalancerOptions) -> frozenset[str]:
    """The keys with another value in ``new``."""
    before, after = dump(old), dump(new)
    return frozenset(key for key in before if before[key] != after[key])


def needs_restart(old: BalancerOptions, new: BalancerOptions) -> tuple[str, ...]:
    """Those of them that a running balancer cannot take in, in alphabetical order."""
    return tuple(sorted(differing(old, new) - RELOADABLE))


def described(old: BalancerOptions, new: BalancerOptions) -> str:
    """What differs, in one line of bounded length: ``backend +10.0.0.3:80 -10.0.0.2:80, idle_timeout 75.0 -> 30.0``."""
    before, after = dump(old), dump(new)
    changes = []
    for key in before:
        was, is_ = before[key], after[key]
        if was == is_:
            continue
        if isinstance(is_, list):
            marked = [f"+{item}" for item in is_ if item not in set(was)] + [f"-{item}" for item in was if item not in set(is_)]
            changes.append(f"{key} {_listed(marked) or 'in another order'}")
        else:
            changes.append(f"{key} {_shown(was)} -> {_shown(is_)}")
    return ", ".join(changes)


def _listed(items: Sequence[str]) -> str:
    more = len(items) - MAX_NAMED
    return " ".join(items[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _shown(value: object) -> str:
    words = "off" if value is None else to_toml(value)
    return words if len(words) <= 80 else words[:77] + "..."
