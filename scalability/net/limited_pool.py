"""Pools that never have more connections than they may, whatever these do.

Requests in flight are limited elsewhere, by who sends them; what is left to see to here is that connections which lie idle make room
for one that is to be opened: in a pool whose connections belong to one client each, or when a request must have a fresh one.
"""

from scalability.net.connection_attempt import ConnectReceiver, Opening
from scalability.net.connection_pool import ConnectionPool, PrefacedPool


class LimitedPool(ConnectionPool):
    """A ConnectionPool of at most ``most`` connections, being made, busy and idle ones together; 0: no limit."""

    most = 0

    def open(self, receiver: ConnectReceiver, preface: bytes = b"") -> Opening:
        """As ``ConnectionPool.open``; those that have lain idle the longest are closed for it."""
        if self.most:
            for _ in range(min(len(self._idle), len(self._open) + len(self._opening) + 1 - self.most)):
                self._idle.popleft().close()
        return super().open(receiver, preface)


class LimitedPrefacedPool(LimitedPool, PrefacedPool):
    """The same of a PrefacedPool."""
