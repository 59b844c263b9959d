"""What the last checks of a server have found, for people. PURE."""

from collections.abc import Iterator

from msgspec import Struct

KEPT = 10
"""As many results are kept of each server."""


class CheckResult(Struct, frozen=True):
    """One check that has ended."""

    at_s: float
    """When it began, in seconds of the upstream's clock."""
    duration_s: float
    passed: bool
    what: str
    """What was found: one sentence."""
    status: int = 0
    """That of the answer; 0 without one."""


class CheckHistory:
    """The last ``KEPT`` results, oldest first, and the last failure, which may be older than all of them."""

    __slots__ = ("_results", "last_failure")

    def __init__(self) -> None:
        self._results: tuple[CheckResult, ...] = ()  # costs nothing in the workers, which never check
        self.last_failure: CheckResult | None = None

    def add(self, result: CheckResult) -> None:
        """Remember ``result``, in place of the oldest one."""
        self._results = (*self._results[1 - KEPT :], result)
        if not result.passed:
            self.last_failure = result

    def __iter__(self) -> Iterator[CheckResult]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)
