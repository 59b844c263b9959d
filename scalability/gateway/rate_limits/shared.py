"""Limits whose cells all gateways share; see ``shared_cells`` for how, and for what happens when the server does not answer."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final

from twisted.internet.defer import Deferred

from scalability.errors import ScalelabError
from scalability.gateway.rate_limits.batch import Question
from scalability.gateway.rate_limits.fields import Limit
from scalability.gateway.rate_limits.gcra import Verdict
from scalability.gateway.rate_limits.shared_cells import SharedCells
from scalability.gateway.rate_limits.store import MemoryLimits

MAX_KEY_BYTES: Final = 128
"""Of who is counted; what is longer is known by its SHA-256."""
PREFIX: Final = b"scalelab:rate:"
"""Of every cell's key on the server."""

_S: Final = 1_000_000_000


class SharedLimits:
    """A ``LimitStore`` for ``limits``, whose cells are shared with all other gateways that name them the same; ``local`` stands in.

    ``scopes`` says for each limit what it belongs to, a route say.
    """

    def __init__(
        self, limits: Sequence[Limit], scopes: Sequence[str], cells: SharedCells, local: MemoryLimits, seconds: Callable[[], float]
    ) -> None:
        self._rates = [limit.rate for limit in limits]
        self._prefixes = [_prefix(limit, scope) for limit, scope in zip(limits, scopes, strict=True)]
        self._cells = cells
        self._local = local
        self._seconds = seconds
        self.shared = 0
        """Requests that were decided on the server."""
        self.alone = 0
        """Those that were not."""

    def take(self, keys: Sequence[bytes], now_ns: int) -> Verdict | Deferred[Verdict]:
        """See ``LimitStore``. Never fails for the server's sake: then this process's own cells decide."""
        if len(keys) != len(self._rates):
            raise ValueError("a key for each rate is needed")
        cells = [prefix + _short(key) for prefix, key in zip(self._prefixes, keys, strict=True)]
        waiting = self._cells.decide(Question(cells, self._rates))
        if waiting is None:
            self.alone += 1
            return self._local.take(keys, now_ns)
        return waiting.addCallbacks(self._decided, self._failed, errbackArgs=(keys,))

    def _decided(self, verdict: Verdict) -> Verdict:
        self.shared += 1
        return verdict

    def _failed(self, failure: Any, keys: Sequence[bytes]) -> Verdict:
        failure.trap(ScalelabError)
        self.alone += 1
        return self._local.take(keys, int(self._seconds() * _S))


def _prefix(limit: Limit, scope: str) -> bytes:
    # the TAT's unit depends on the rate: another rate has other cells
    rate = limit.rate
    return PREFIX + f"{scope}:{limit.name}:{rate.requests}/{rate.window_ns}:".encode()


def _short(key: bytes) -> bytes:
    # no address and no name begins with #
    return key if len(key) <= MAX_KEY_BYTES else b"#" + sha256(key).hexdigest().encode()
