"""Active health checks: one request per server and interval, through net's own client.

A check passes when ``GET path`` is answered with a status from 200 to 399 within the interval: a server that hangs is down after
``fall`` intervals. Each check opens a connection of its own, because a server whose kept-alive connections still work may have
stopped accepting.

A server that is up is checked every interval. One that is not, or of which the last check failed, is checked ``HASTE`` times as often
(HAProxy's ``fastinter``): what is down costs next to nothing to ask, and every second that it is found to be back later is
a second without it.
"""

from collections.abc import Callable

from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.errors import ConnectError, ScalelabError, TLSFailed
from scalability.lifecycle import Ticker
from scalability.net.service_client import Answer, ServiceClient
from scalability.upstream.health import State
from scalability.upstream.servers import Server, Upstream, is_ours

HASTE = 4
FIELDS = ((b"user-agent", b"scalelab-health-check"), (b"connection", b"close"))


class Prober(Ticker):
    """The checks of one server. At each tick it begins one that is due, and gives up one that is overdue."""

    log = Logger()

    def __init__(
        self, clock: IReactorTime, interval_s: float, path: bytes, client: ServiceClient, server: Server, upstream: Upstream
    ) -> None:
        self._tick_s = interval_s / HASTE
        super().__init__(clock, self._tick_s, self.probe)
        self._timeout_s = interval_s
        self._begun_s: float | None = None
        self._path = path
        self._client = client
        self._server = server
        self._upstream = upstream
        self._check: Deferred[None] | None = None

    def probe(self) -> None:
        """Called at each tick. Whatever goes wrong with a check is a failed check."""
        now_s = self._clock.seconds()
        waited_s = self._timeout_s if self._begun_s is None else now_s - self._begun_s
        due = waited_s > self._timeout_s - self._tick_s / 2  # ticks come a little late, and sometimes the next comes less so
        if self._check is not None:
            if not due:
                return
            self._give_up()
            self._check_failed(f"no answer within {self._timeout_s:g} s")
        elif not due and self._server.health.state is State.UP:
            return
        self._begun_s = now_s
        try:
            # the client's own deadline must not be the first to end the check
            asking = self._client.request(b"GET", self._path, FIELDS, timeout_s=2 * self._timeout_s)
        except ScalelabError as error:
            self._check_failed(f"the check failed: {error.code}")
            return
        check: Deferred[None] = asking.addCallbacks(self._answered, self._errored)
        check.addErrback(self._broken)
        if not check.called:
            self._check = check

    def stopService(self) -> Deferred[None]:
        self._give_up()
        self._client.close()
        return super().stopService()

    def _give_up(self) -> None:
        check, self._check = self._check, None
        if check is not None:
            check.cancel()

    def _answered(self, answer: Answer) -> None:
        self._check = None
        if 200 <= answer.status < 400:
            self._server.counts.checks_passed += 1
            self._upstream.judge(self._server, True, f"the check was answered {answer.status}")
        else:
            self._check_failed(f"the check was answered {answer.status}")

    def _errored(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            # given up by us; whoever did it has said what it means
            return
        self._check = None
        if isinstance(failure.value, ConnectError) and is_ours(failure.value):
            self.log.warn("the check of {server} could not be made: {why}", server=self._server.name, why=str(failure.value.__cause__))
        elif isinstance(failure.value, ScalelabError):
            why = f": {_why_not_met(failure.value)}" if isinstance(failure.value, TLSFailed) else ""
            self._check_failed(f"the check failed: {failure.value.code}{why}")
        else:
            self.log.failure("the check of {server} failed in an unexpected way", failure, server=self._server.name)
            self._check_failed("the check failed in an unexpected way; the log says more")

    def _broken(self, failure: Failure) -> None:
        self.log.failure("the result of a check of {server} could not be taken in", failure, server=self._server.name)

    def _check_failed(self, why: str) -> None:
        self._server.counts.checks_failed += 1
        self._upstream.judge(self._server, False, why)


def _why_not_met(error: TLSFailed) -> str:
    from scalability.net.tls import why_not_met  # loads OpenSSL, which most do without

    return why_not_met(error.__cause__ or error)


class HealthChecks(MultiService):
    """Keeps a Prober for each server of ``upstream``, as long as it is named there."""

    def __init__(
        self, clock: IReactorTime, upstream: Upstream, client: Callable[[Server], ServiceClient], *, interval_s: float, path: str
    ) -> None:
        super().__init__()
        self._clock = clock
        self._upstream = upstream
        self._client = client
        self._interval_s = interval_s
        self._path = path.encode()
        self._probers: dict[Server, Prober] = {}
        upstream.watch(self)

    def joined(self, server: Server) -> None:
        """Check ``server`` from now on, the first time at once."""
        prober = Prober(self._clock, self._interval_s, self._path, self._client(server), server, self._upstream)
        self._probers[server] = prober
        prober.setServiceParent(self)

    def left(self, server: Server) -> None:
        """Check ``server`` no more."""
        # a Prober's tick is synchronous: stopping has nothing to wait for
        self._probers.pop(server).disownServiceParent()
