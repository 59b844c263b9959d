"""What is believed of servers, and when: the rules that an ``Upstream`` goes by. PURE."""

from dataclasses import dataclass, field
from typing import Protocol

from scalability.upstream.breaker import BreakerPolicy
from scalability.upstream.outlier import OutlierPolicy


@dataclass(frozen=True, slots=True)
class UpstreamRules:
    """May be replaced while requests run. Raises ValueError for values without sense."""

    rise: int = 2
    """Passed checks in a row that bring a server back that was down."""
    fall: int = 3
    """Failed ones that take it out."""
    panic_percent: int = 50
    """When fewer servers than that are healthy, of those that should be, all that can be connected to are used (Envoy); 0: never."""
    slow_start_s: float = 0.0
    """How long a server that has come back takes until its whole weight counts; 0: it counts at once."""
    slow_start_aggression: float = 1.0
    """Envoy's: with 1 the weight grows evenly, above 1 faster at first."""
    max_waiting: int = 1024
    """Requests that may wait for a place when every server has as many as its ``maxconn``; 0: none."""
    queue_timeout_s: float = 5.0
    """How long they may."""
    outlier: OutlierPolicy = field(default_factory=OutlierPolicy)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)

    def __post_init__(self) -> None:
        if not 0 <= self.panic_percent <= 100:
            raise ValueError("the panic threshold is 0 to 100 percent")
        if self.slow_start_s < 0 or self.slow_start_aggression <= 0:
            raise ValueError("a slow start takes 0 s or more, with an aggression above 0")
        if self.max_waiting < 0 or self.queue_timeout_s <= 0:
            raise ValueError("a queue has room for 0 or more, and a timeout above 0")


MAX_EJECTION_S = 300.0
"""The longest ejection that repeats grow to, unless the first one is longer already."""


class Options(Protocol):
    """What a proxy's configuration says of its servers, under its own names: the balancer's flags, a route's table."""

    @property
    def panic_percent(self) -> int: ...

    @property
    def slow_start_s(self) -> float: ...

    @property
    def max_queue(self) -> int: ...

    @property
    def queue_timeout_s(self) -> float: ...

    @property
    def eject_failures(self) -> int: ...

    @property
    def eject_time_s(self) -> float: ...

    @property
    def eject_percent(self) -> int: ...

    @property
    def breaker_percent(self) -> int: ...


def rules_of(options: Options, *, rise: int, fall: int) -> UpstreamRules:
    """The rules that ``options`` mean."""
    return UpstreamRules(
        rise=rise,
        fall=fall,
        panic_percent=options.panic_percent,
        slow_start_s=options.slow_start_s,
        max_waiting=options.max_queue,
        queue_timeout_s=options.queue_timeout_s,
        outlier=OutlierPolicy(
            failures_in_a_row=options.eject_failures,
            base_ejection_s=options.eject_time_s,
            max_ejection_s=max(options.eject_time_s, MAX_EJECTION_S),
            max_ejection_percent=options.eject_percent,
        ),
        breaker=BreakerPolicy(failure_percent=options.breaker_percent),
    )
