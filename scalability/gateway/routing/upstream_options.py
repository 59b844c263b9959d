"""What the tables ``health`` and ``upstream`` of a route may say: how its servers are checked, and how requests are spread over them.

The words and their meaning are the balancer's flags; so are the defaults, but for the check: a path that every server has is not known.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from scalability.config import Address
from scalability.proxy.retrying import REASONS, USUAL, RetryPolicy
from scalability.upstream.discovery import INTERVAL_S, check_resolver
from scalability.upstream.expected import Statuses
from scalability.upstream.pace import Pace
from scalability.upstream.rules import UpstreamRules, rules_of
from scalability.upstream.selection import ALGORITHMS


class HealthOptions(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"interval_s": "interval", "timeout_s": "timeout"}
):
    """How each server is checked: with a GET for ``path``, or without one by a connection alone."""

    path: str = ""
    status: str = str(Statuses())
    """Statuses, and ranges of them, that pass: ``200,204,300-399``."""
    interval_s: Annotated[float, Meta(ge=0.05, le=3600)] = Pace().interval_s
    timeout_s: Annotated[float, Meta(ge=0.01, le=3600)] | None = None
    """None: the interval."""
    rise: Annotated[int, Meta(ge=1, le=100)] = 2
    fall: Annotated[int, Meta(ge=1, le=100)] = 3
    initial: Literal["up", "mandatory"] = "up"
    """Whether servers of the configuration take traffic before their first check."""

    def __post_init__(self) -> None:
        if self.path and (not self.path.startswith("/") or not self.path.isascii() or not self.path.isprintable() or " " in self.path):
            raise ValueError(f"path: {self.path!r} is not a path that begins with / and has no spaces in it")
        Statuses.parse(self.status)
        if self.timeout_s is not None and self.timeout_s > self.interval_s:
            raise ValueError("timeout: a check must end before the next one begins")

    @property
    def pace(self) -> Pace:
        """The intervals: a quarter of the usual one while a server is about to go down or to come back, or is down."""
        return Pace(self.interval_s, self.interval_s / 4, self.interval_s / 4)


class UpstreamOptions(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={
        "connect_timeout_s": "connect_timeout",
        "answer_timeout_s": "answer_timeout",
        "tunnel_timeout_s": "tunnel_timeout",
        "queue_timeout_s": "queue_timeout",
        "eject_time_s": "eject_time",
        "slow_start_s": "slow_start",
        "hedge_after_s": "hedge_after",
        "resolve_interval_s": "resolve_interval",
    },
):
    """How requests reach the servers."""

    algorithm: str = "round_robin"
    connect_timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 3.0
    answer_timeout_s: Annotated[float, Meta(gt=0, le=86400)] = 60.0
    tunnel_timeout_s: Annotated[float, Meta(gt=0, le=604800)] = 3600.0
    retries: Annotated[int, Meta(ge=0, le=100)] = 2
    retry_on: tuple[str, ...] = tuple(sorted(USUAL))
    retry_budget: Annotated[int, Meta(ge=0, le=100)] = 20
    retry_body_bytes: Annotated[int, Meta(ge=0, le=16 << 20)] = 65536
    max_queue: Annotated[int, Meta(ge=0, le=1_000_000)] = 1024
    queue_timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 5.0
    eject_failures: Annotated[int, Meta(ge=0, le=10_000)] = 5
    eject_time_s: Annotated[float, Meta(gt=0, le=86400)] = 30.0
    eject_percent: Annotated[int, Meta(ge=0, le=100)] = 50
    breaker_percent: Annotated[int, Meta(ge=0, le=100)] = 50
    panic_percent: Annotated[int, Meta(ge=0, le=100)] = 50
    slow_start_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    hedge_after_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    resolve_interval_s: Annotated[float, Meta(ge=0.1, le=3600)] = INTERVAL_S
    resolver: str | None = None
    """``IP:PORT`` of the name server to ask, instead of those of /etc/resolv.conf and of /etc/hosts."""
    ca: str | None = None
    """PEM file with the authorities whose word counts about servers that speak TLS, instead of the system's."""

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm: there is no {self.algorithm!r}; there are {', '.join(ALGORITHMS)}")
        for reason in self.retry_on:
            if reason not in REASONS:
                raise ValueError(f"retry_on: {reason!r} is none of {', '.join(REASONS)}")
        if len(self.retry_on) > 1 and "none" in self.retry_on:
            raise ValueError("retry_on: none stands alone")
        if self.name_server is not None:
            check_resolver(self.name_server)

    @property
    def name_server(self) -> Address | None:
        """The address in ``resolver``. Raises ValueError."""
        return None if self.resolver is None else Address.parse(self.resolver)

    @property
    def authorities(self) -> Path | None:
        """The file of ``ca``."""
        return None if self.ca is None else Path(self.ca)

    def rules(self, health: HealthOptions) -> UpstreamRules:
        """What is believed of servers, and when."""
        return rules_of(self, rise=health.rise, fall=health.fall)

    def retry_policy(self) -> RetryPolicy:
        """When a request is sent once more."""
        return RetryPolicy(retries=self.retries, reasons=frozenset(self.retry_on) - {"none"}, max_body_bytes=self.retry_body_bytes)
