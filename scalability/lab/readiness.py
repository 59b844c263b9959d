"""Waits until each server of the lab says that it can do its work."""

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IReactorTime

from scalability.lifecycle import Ticker

INTERVAL_S = 0.1

Ask = Callable[[str], Deferred[str | None]]
"""Asks the server of this name. Fires with None when it is ready, else with the reason why not; never fails."""


class ReadinessWatch(Ticker):
    """Asks every 0.1 s whoever is not known to be ready; ``ready(name)`` is called as each one is.

    A server that was ready and ended is asked again after ``expect``.
    """

    def __init__(self, clock: IReactorTime, names: Iterable[str], ask: Ask, ready: Callable[[str], None]) -> None:
        super().__init__(clock, INTERVAL_S, self._ask_all)
        self._ask = ask
        self._ready = ready
        self._generation: dict[str, int] = {}
        self.waiting: dict[str, str] = dict.fromkeys(names, "not asked yet")
        """Why each server that is asked is not ready, as it said last."""
        self.given_up: dict[str, str] = {}
        """Why each server that is not asked any more never will be."""

    def expect(self, name: str) -> None:
        """Ask this server (again): it was restarted. An answer of its earlier life, still on the way, counts no more."""
        self._generation[name] = self._generation.get(name, 0) + 1
        self.waiting[name] = "it is being restarted"

    def give_up(self, name: str) -> None:
        """Ask this server no more: it will not come back."""
        self.expect(name)
        del self.waiting[name]
        self.given_up[name] = "it was given up"

    async def _ask_all(self) -> None:
        asking = [Deferred.fromCoroutine(self._ask_one(name)) for name in list(self.waiting)]
        try:
            await gatherResults(asking, consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()  # a cancellation stays one

    async def _ask_one(self, name: str) -> None:
        generation = self._generation.get(name, 0)
        why = await self._ask(name)
        if generation != self._generation.get(name, 0) or name not in self.waiting:
            return
        if why is not None:
            self.waiting[name] = why
            return
        del self.waiting[name]
        self._ready(name)
