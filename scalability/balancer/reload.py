"""Reading the configuration again while requests run: on SIGHUP, and whenever ``now`` is called.

Command line, environment and file are read on a thread, and checked as at the start; what cannot be read, what is wrong, and what
needs a restart changes nothing at all, and one line says why. Otherwise everything changes in one turn of the event loop, so that no
request sees half of it.

Reloads never overlap. Whoever asks while one runs waits for the next one, together with all others who do: the file may
have changed since it was read.
"""

import signal
from collections.abc import Callable
from enum import Enum
from functools import partial
from time import time
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.api.admin_token import read_token
from scalability.balancer.change import ADMIN, Change
from scalability.balancer.config import BalancerOptions
from scalability.errors import ConfigError, Overloaded
from scalability.lifecycle import OrderedService
from scalability.lifecycle.signals import OnSignal
from scalability.lifecycle.threads import Threads
from scalability.upstream.sources import read_files

READ_S = 10.0
"""As long, in seconds, reading may take."""


class Result(Enum):
    """What came of a reload."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    """Nothing has changed, or all that had is as it was."""
    FAILED = "failed"
    """A part has changed, and could not be taken back."""


class Outcome(NamedTuple):
    """What a reload did, for whoever asked for it."""

    result: Result
    what: str
    """What changed, or why nothing did: one line."""
    keys: tuple[str, ...] = ()
    """The keys that changed; of a refused reload those that it was refused for."""


class Reload(OrderedService):
    """Has ``apply`` take in what ``read`` says, which blocks, is called on a thread, and raises ConfigError.

    All that can fail is done before ``apply``. Should it fail nevertheless, by a mistake of ours, it is called with the change back, and
    the outcome says whether that took back what had changed. As a service this acts on SIGHUP, which would end the process otherwise.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        options: BalancerOptions,
        read: Callable[[], BalancerOptions],
        apply: Callable[[Change], None],
        *,
        wall: Callable[[], float] = time,
    ) -> None:
        super().__init__()
        self._clock = reactor
        self._wall = wall
        self._read = read
        self._apply = apply
        self._waiting: list[Deferred[Outcome]] = []
        self._busy = False
        self._threads = Threads(reactor, 1, name="reload", limit=1)
        self._threads.setServiceParent(self)
        OnSignal(reactor, signal.SIGHUP, self._asked).setServiceParent(self)
        self.options = options
        """The configuration that holds now."""
        self.counts = dict.fromkeys(Result, 0)
        self.good_s: float = wall()
        """When a configuration was last taken in, or found to be the one that holds, in Unix seconds; at first the start."""

    def now(self) -> Deferred[Outcome]:
        """Reload; fires with what came of it, and never fails."""
        waiter: Deferred[Outcome] = Deferred(self._waiting_no_more)
        self._waiting.append(waiter)
        if not self._busy:
            self._busy = True
            Deferred.fromCoroutine(self._work()).addErrback(self._lost)
        return waiter

    async def told(self) -> tuple[str, str]:
        """``now``, for the admin call: the result's word, and one line."""
        outcome = await self.now()
        return outcome.result.value, outcome.what

    def _asked(self) -> None:
        self.now()  # it never fails, and the log says what came of it

    def _waiting_no_more(self, waiter: Deferred[Outcome]) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)

    async def _work(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            outcome = await self._reload()
            for waiter in waiting:
                if not waiter.called:  # else it was cancelled
                    waiter.callback(outcome)
        self._busy = False

    def _lost(self, failure: Failure) -> None:
        self._busy = False
        self.log.failure("whoever waited for a reload failed", failure)

    async def _reload(self) -> Outcome:
        try:
            outcome = await self._outcome()
        except Exception as error:  # a mistake of ours: whoever asked must hear of it, and the next one be tried
            self.log.failure("a reload failed")
            outcome = Outcome(Result.REFUSED, f"it failed: {type(error).__name__}")
        self.counts[outcome.result] += 1
        match outcome.result:
            case Result.CHANGED:
                self.log.info("the configuration has changed: {what}", what=outcome.what)
            case Result.UNCHANGED:
                self.log.info("the configuration is read again: {what}", what=outcome.what)
            case Result.REFUSED:
                self.log.error("the configuration is not changed: {what}", what=outcome.what)
            case Result.FAILED:
                self.log.critical("the configuration is changed in part: {what}", what=outcome.what)
        return outcome

    async def _outcome(self) -> Outcome:
        try:
            change = await self._threads.run(self._change).addTimeout(READ_S, self._clock)
        except ConfigError as error:
            return Outcome(Result.REFUSED, " ".join(str(error).split()), (error.key,))
        except TookTooLong:
            return Outcome(Result.REFUSED, f"it could not be read within {READ_S:g} s")
        except Overloaded:
            return Outcome(Result.REFUSED, "the balancer is stopping, or still reads what it was to read before")
        if change.fixed:
            return Outcome(Result.REFUSED, f"a restart is needed for another {', '.join(change.fixed)}", change.fixed)
        if not change.keys:
            self.good_s = self._wall()
            return Outcome(Result.UNCHANGED, "nothing has changed")
        try:
            self._apply(change)
        except Exception as error:
            self.log.failure("a change of the configuration failed half way")
            return await self._taken_back(change, type(error).__name__)
        self.good_s = self._wall()
        self.options = change.new
        return Outcome(Result.CHANGED, change.what, tuple(sorted(change.keys)))

    async def _taken_back(self, change: Change, why: str) -> Outcome:
        """What became of ``change``, which failed half way: all is as it was, unless the way back fails as well."""
        keys = tuple(sorted(change.keys))
        try:
            back = await self._threads.run(partial(_reversed, change)).addTimeout(READ_S, self._clock)
            self._apply(back)
        except Exception:
            self.log.failure("what had changed of the configuration could not be taken back")
            return Outcome(Result.FAILED, f"{change.what} failed half way ({why}), and could not be taken back; a restart is needed", keys)
        return Outcome(Result.REFUSED, f"{change.what} failed ({why}), and what had changed is as it was", keys)

    def _change(self) -> Change:
        """On the thread: what is to change, read completely."""
        old = self.options
        new = self._read()
        change = Change.between(old, new, {})
        if change.fixed:
            return change
        if new.admin_token_file is not None and change.touches(ADMIN):
            read_token(new.admin_token_file)
        if any(backend.may_speak_tls for backend in new.backend):
            import scalability.net.tls  # noqa: F401 - loads OpenSSL here, and not between requests
        return change._replace(files=read_files(new.backend, old.backend, workers=new.workers))


def _reversed(change: Change) -> Change:
    """The way back, with what the files say now that only the old configuration names. Raises ConfigError. Blocks."""
    old, new = change.old, change.new
    return Change.between(new, old, read_files(old.backend, new.backend, workers=old.workers))
