"""Keys that an issuer publishes as a JSON Web Key Set: fetched, kept, fetched again when they are old or one is missing.

empty       nothing has been fetched yet; who needs a key waits for the fetch that is under way, or starts one
fresh       the keys of the last good answer, younger than its max-age
old         they are used on, and the next one who needs a key starts a fetch, without waiting for it

empty, old --good answer--> fresh;  fresh --max-age--> old;  fresh, old --a fetch fails--> old, with the keys as they were
any --a key is missing--> a fetch that all who miss one wait for; once in ``cooldown_s``, whatever they miss, so that made-up names of
      keys cost the issuer nothing; within it they are told at once what came of the last one
"""

from collections.abc import Callable
from typing import NamedTuple

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.errors import DependencyDown, Overloaded
from scalability.gateway.access.keys import Keys, keys_of_set

DEFAULT_MAX_AGE_S = 300.0
MIN_MAX_AGE_S = 30.0
MAX_MAX_AGE_S = 86_400.0

MAX_WAITERS = 1000
"""Requests that wait for one fetch; one more is answered 503."""


class Fetched(NamedTuple):
    """A good answer: the document, and the max-age that came with it."""

    document: bytes
    max_age_s: float | None


class FetchFailed(Exception):
    """The answer is no good, and why."""


class RemoteKeys(Service):
    """The keys at one URL, ``shown`` is its name in logs and metrics. ``fetch`` must not take for ever: ``deadline_s`` ends it."""

    log = Logger()

    def __init__(
        self,
        fetch: Callable[[], Deferred[Fetched]],
        clock: IReactorTime,
        shown: str,
        *,
        deadline_s: float = 5.0,
        cooldown_s: float = 10.0,
    ) -> None:
        self.keys = Keys()
        """Another object after each change of the document, and only then."""
        self.fetches = 0
        self.failures = 0
        self._fetch = fetch
        self._clock = clock
        self.shown = shown
        self._deadline_s = deadline_s
        self._cooldown_s = cooldown_s
        self._document = b""
        self._fresh_until = 0.0
        self._not_again_before = 0.0
        self._failed = False
        self._fetching: Deferred[None] | None = None
        self._waiters: list[Deferred[None]] = []

    def startService(self) -> None:
        super().startService()
        self._begin()

    def stopService(self) -> None:
        super().stopService()
        fetching = self._fetching
        if fetching is not None:
            fetching.cancel()

    @property
    def age_s(self) -> float:
        """How long ago the keys were to be fetched again; below 0 while they are fresh."""
        return self._clock.seconds() - self._fresh_until

    def look(self) -> None:
        """Whoever is about to use the keys says so: old ones are fetched again, in the background."""
        if self._clock.seconds() >= self._fresh_until and self._fetching is None and self.running:
            self._begin()

    def missing(self) -> Deferred[None] | None:
        """A key is not there. Fires when the keys were fetched again; None: they were, a moment ago.

        Raises DependencyDown, or fails with it, when they cannot be fetched; raises Overloaded when too many wait already.
        """
        now = self._clock.seconds()
        if self._fetching is None:
            if now < self._not_again_before or not self.running:
                if self._failed:
                    raise _down()
                return None
            self._not_again_before = now + self._cooldown_s
            self._begin()
            if self._fetching is None:  # it has ended already
                if self._failed:
                    raise _down()
                return None
        if len(self._waiters) >= MAX_WAITERS:
            raise Overloaded("too many requests wait for the keys that tokens are signed with; try again later")
        waiter: Deferred[None] = Deferred(self._waiters.remove)
        self._waiters.append(waiter)
        return waiter

    def _begin(self) -> None:
        self.fetches += 1
        fetching = self._fetch().addTimeout(self._deadline_s, self._clock)
        self._fetching = ending = fetching.addCallback(self._fetched).addErrback(self._fetch_failed)
        ending.addCallback(self._ended)
        if ending.called:
            self._fetching = None

    def _fetched(self, fetched: Fetched) -> None:
        if fetched.document != self._document:
            try:
                keys = keys_of_set(fetched.document)
            except ValueError as error:
                raise FetchFailed(str(error)) from error
            if not len(keys):
                raise FetchFailed("has no key that tokens can be checked with")
            self.keys, self._document = keys, fetched.document
            self.log.info("{name} has {count} keys", name=self.shown, count=len(keys))
        elif self._failed:
            self.log.info("{name} can be fetched again", name=self.shown)
        self._failed = False
        age_s = DEFAULT_MAX_AGE_S if fetched.max_age_s is None else min(max(fetched.max_age_s, MIN_MAX_AGE_S), MAX_MAX_AGE_S)
        self._fresh_until = self._clock.seconds() + age_s

    def _fetch_failed(self, failure: Failure) -> None:
        stopping = not self.running
        was_failed, self._failed = self._failed, True
        if stopping:
            return
        self.failures += 1
        self._fresh_until = self._clock.seconds() + self._cooldown_s
        late = failure.check(DeadlinePassed) is not None
        if not late and failure.check(FetchFailed) is None:
            self.log.failure("{name} cannot be fetched", failure, name=self.shown)
        elif not was_failed:
            why = "does not answer in time" if late else str(failure.value)
            self.log.warn("{name} {why}; {count} keys stay in use", name=self.shown, why=why, count=len(self.keys))

    def _ended(self, _: None) -> None:
        self._fetching = None
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if self._failed:
                waiter.errback(_down())
            else:
                waiter.callback(None)


def _down() -> DependencyDown:
    return DependencyDown("the keys that tokens are signed with cannot be fetched now; try again later", retry_after_s=5)
