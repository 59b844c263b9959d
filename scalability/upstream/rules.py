"""What is believed of servers, and when: the rules that an ``Upstream`` goes by. PURE."""

from dataclasses import dataclass, field

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
