"""The services behind the gateway: asked over pooled connections, watched, counted, and never waited for without end."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.errors import ConnectError, ConnectTimeout, DependencyDown, NoAnswer, ScalelabError, UpstreamError
from scalability.lifecycle import Ticker
from scalability.net.service_client import Answer

SLOW_S = 0.1
"""A failure that took longer has cost its requester something: see ``recess_s``."""

PROBE_TIMEOUT_S = 2.0

Fields = Sequence[tuple[bytes, bytes]]


class Client(Protocol):
    """What a dependency is asked through: ``net``'s ServiceClient, or a fake."""

    def request(
        self, method: bytes, target: bytes, fields: Fields = (), body: bytes = b"", *, timeout_s: float | None = None
    ) -> Deferred[Answer]: ...

    def close(self) -> None: ...


class Watched(Protocol):
    """What is told of a dependency, however it is asked. See ``Dependency``."""

    name: str
    requests: int
    skipped: int

    @property
    def up(self) -> bool | None: ...

    @property
    def failures(self) -> int: ...

    def probe(self) -> Deferred[None]: ...

    def close(self) -> None: ...


class Dependency:
    """One service behind the gateway.

    ``up`` is None until something was heard of it, then whether the last request was answered, with whatever status.
    After a failure that was slow (a host that is gone, a process that hangs) and with a ``recess_s``, no request waits for it
    again until it answers: ``request`` fails at once with DependencyDown, and every ``recess_s`` seconds the first of them has its
    health asked for in the background. One that refuses connections costs nothing to ask.
    """

    log = Logger()

    def __init__(self, name: str, client: Client, clock: IReactorTime, *, recess_s: float = 0.0) -> None:
        self.name = name
        self.up: bool | None = None
        self.requests = 0
        self.failures = 0
        self.skipped = 0
        """Requests that failed at once because of a recess."""
        self._client = client
        self._clock = clock
        self._recess_s = recess_s
        self._hangs = False
        self._look_again_at = 0.0
        self._was_up = False

    def request(self, method: bytes, target: bytes, fields: Fields = (), body: bytes = b"") -> Deferred[Answer]:
        """Ask; fires with the answer, whatever its status. Fails with a ScalelabError."""
        started = self._clock.seconds()
        if self._hangs:
            self.skipped += 1
            if started >= self._look_again_at:
                self._look_again_at = started + self._recess_s
                self.probe(timeout_s=None)  # never fails, and ends with its deadline or with close()
            return fail(DependencyDown(f"the {self.name} did not answer a moment ago; try again later"))
        self.requests += 1
        return self._client.request(method, target, fields, body).addCallbacks(self._answered, self._failed, errbackArgs=(started,))

    async def ask(self, method: bytes, target: bytes, fields: Fields = (), body: bytes = b"") -> Answer:
        """``request`` for a client's sake: DependencyDown (503 with Retry-After) when the service is not there."""
        try:
            return await self.request(method, target, fields, body)
        except (ConnectError, ConnectTimeout, NoAnswer) as error:
            raise DependencyDown(f"the {self.name} cannot be reached; try again later") from error

    def probe(self, *, timeout_s: float | None = PROBE_TIMEOUT_S) -> Deferred[None]:
        """Ask for its health, in a recess too; only whether an answer comes, in time (None: in a request's time), matters. Never fails."""
        started = self._clock.seconds()
        probing = self._client.request(b"GET", b"/health", timeout_s=timeout_s)
        probing.addCallbacks(self._answered, self._failed, errbackArgs=(started,))
        return probing.addCallbacks(_looked, _looked_in_vain)

    def close(self) -> None:
        """Close its connections and fail what is in flight."""
        self._client.close()

    def _answered(self, answer: Answer) -> Answer:
        self._hangs = False
        if not self.up:
            self._changed(up=True)
        return answer

    def _failed(self, failure: Failure, started: float) -> Failure:
        # A cancelled request says nothing about the service, and neither does our own limit of requests at once.
        error = failure.value
        if isinstance(error, UpstreamError):
            self.failures += 1
            now = self._clock.seconds()
            self._hangs = self._recess_s > 0 and now - started > SLOW_S
            self._look_again_at = now + self._recess_s
            if self.up is not False:
                self._changed(up=False, why=error.code)
        return failure

    def _changed(self, *, up: bool, why: str = "") -> None:
        known, self.up = self.up, up
        if up:
            if known is not None:
                self.log.info("the {name} is up" + (" again" if self._was_up else ""), name=self.name)
            self._was_up = True
        elif self._was_up:
            self.log.warn("the {name} is down: {why}", name=self.name, why=why)
        else:
            # everything starts at once, and somebody is first
            self.log.info("the {name} does not answer yet: {why}", name=self.name, why=why)


def _looked(_: Answer) -> None:
    """It answers."""


def _looked_in_vain(failure: Failure) -> None:
    failure.trap(ScalelabError)


class Dependencies(Service):
    """All of them; their connections close when this stops."""

    def __init__(self, *dependencies: Watched) -> None:
        self._all = dependencies

    def __iter__(self) -> Iterator[Watched]:
        return iter(self._all)

    def stopService(self) -> None:
        super().stopService()
        for dependency in self._all:
            dependency.close()


class DependencyWatch(Ticker):
    """Looks at every dependency every ``interval_s`` seconds, so that ``up`` is true of one that nobody asks."""

    def __init__(self, clock: IReactorTime, interval_s: float, dependencies: Sequence[Watched]) -> None:
        super().__init__(clock, interval_s, self.look)
        self._dependencies = dependencies

    def look(self) -> Deferred[list[None]]:
        """Ask all of them at once; fires when the last has answered or failed."""
        return gatherResults([dependency.probe() for dependency in self._dependencies])
