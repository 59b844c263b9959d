"""A twistd that failed while it ran, and says so in its exit status.

twistd ends with 0 whenever its reactor was stopped, and swallows a SystemExit raised inside the reactor.
"""

import atexit
import os
import sys
from collections.abc import Callable


class ExitStatus:
    """Make one before the reactor runs; ``failed`` then decides how the process ends.

    The interpreter calls what was registered last first, so this one leaves after everyone else has cleaned up.
    """

    def __init__(
        self,
        register: Callable[[Callable[[], None]], object] = atexit.register,
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        self.status = 0
        self._leave = leave
        register(self._end)

    def failed(self, status: int = 1) -> None:
        """End with ``status`` instead of 0. The first call counts."""
        self.status = self.status or status

    def _end(self) -> None:
        if self.status:
            sys.stdout.flush()
            sys.stderr.flush()
            self._leave(self.status)
