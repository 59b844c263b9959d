"""How long a looked-up value lives, when it is read anew, and how to wait for another gateway. PURE: time and draws are arguments.

A *draw* is a number from the random source, evenly spread over 0 <= draw < 1.

- **Early refresh** (XFetch: Vattani, Chierichetti, Lowenstein, "Optimal probabilistic cache stampede prevention", VLDB 2015): whoever
  finds a value at ``now`` reads it anew when ``now - load_s * beta * ln(draw) >= expires_at``. Solved for ``now`` that is one moment for
  each finding, ``refresh_at``: then a near entry needs one comparison a hit, and no logarithm.
- **Jitter** only shortens a life: nothing is served for longer than its writer said.
"""

from dataclasses import dataclass
from math import log

from scalability.errors import ClientError

MAX_KEY_BYTES = 1000
"""Of UTF-8. The cache server takes 1,024; the rest is the lease's."""

LEASE_PREFIX = "lease:"

FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 0.1
"""Between two looks for what another gateway loads. About 25 of them fit into the default lease."""

SAME_WRITE = 0.1
"""Two expiries that differ by less than this share of the time to live are one and the same write's."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Lives and waits of a look-aside cache, in seconds; 0 turns a part off (not ``ttl_s``). Raises ValueError for what makes no sense."""

    ttl_s: float = 30.0
    """The life of a value in the shared cache."""
    ttl_jitter: float = 0.05
    """By up to this share a life is shorter, so that values which were written together do not end together."""
    near_ttl_s: float = 1.0
    """The life of a value in the process, at most; as long as in the shared cache where that tells of changes; 0: none, in any case."""
    negative_ttl_s: float = 1.0
    """How long "there is nothing" is remembered."""
    stale_ttl_s: float = 300.0
    """How long after it was last seen good a value may stand in for a source that fails."""
    lease_s: float = 2.0
    """How long one gateway may load a key while the others wait: what they are delayed at most when it dies."""
    beta: float = 1.0
    """How eagerly values are read anew before they end; 1 is the optimum of the paper."""

    def __post_init__(self) -> None:
        lives = (self.near_ttl_s, self.negative_ttl_s, self.stale_ttl_s, self.lease_s, self.beta)
        if not self.ttl_s > 0 or not all(life >= 0 for life in lives) or not 0 <= self.ttl_jitter < 1:
            raise ValueError("lives are not negative, ttl_s is positive, and ttl_jitter is a share below 1")

    def life_s(self, draw: float, *, negative: bool = False) -> float:
        """How long a value that was just loaded lives in the shared cache; 0: it is not written there."""
        life_s = min(self.negative_ttl_s, self.ttl_s) if negative else self.ttl_s
        return life_s * (1.0 - self.ttl_jitter * draw)

    def near_life_s(self, now: float, expires_at: float, *, watched: bool = False) -> float:
        """How long a value that the shared cache has until ``expires_at`` lives in the process; ``watched``: a change will be told."""
        longest_s = expires_at - now if watched and self.near_ttl_s else min(self.near_ttl_s, expires_at - now)
        return max(0.0, longest_s)

    def refresh_at(self, expires_at: float, load_s: float, draw: float) -> float:
        """When a value is to be read anew by whoever found it now. ``load_s`` is what reading took last."""
        return expires_at + load_s * self.beta * log(1.0 - draw)

    def is_newer(self, expires_at: float, known_expires_at: float) -> bool:
        """Whether a value that ends at ``expires_at`` was written after the one that ends at ``known_expires_at``."""
        return expires_at - known_expires_at > self.ttl_s * SAME_WRITE

    def pause_s(self, attempt: int, draw: float) -> float:
        """The wait before the look number ``attempt`` (from 0) for what another gateway loads: doubling, and spread over its upper half."""
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempt, 16)) * (0.5 + 0.5 * draw)


DEFAULTS = Policy()


def lease_key(key: str) -> str:
    """Under which a lease for ``key`` stands in the shared cache: ``check_key`` keeps values from being there."""
    return LEASE_PREFIX + key


def check_key(key: str) -> None:
    """Raises ClientError for a key that cannot be used: keys are made of what clients send."""
    if key.startswith(LEASE_PREFIX):
        raise ClientError(f"a key may not begin with {LEASE_PREFIX!r}")
    size = len(key) if key.isascii() else len(key.encode("utf-8", "surrogatepass"))
    if size > MAX_KEY_BYTES:
        raise ClientError(f"the key has {size} bytes; {MAX_KEY_BYTES} are allowed")
