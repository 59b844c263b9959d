"""What every test is held to: it ends in time, leaves nothing behind in the reactor, and no failure passes in silence.

The reactor is never imported at the top of a module here: that would break ``--reactor=asyncio``.
"""

import functools
import gc
import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, globalLogBeginner, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process, processes

DEADLINE_S = 60.0
"""How long a coroutine test may take, unless ``@pytest.mark.deadline(seconds)`` says otherwise."""

OWN_SELECTABLES = ("_SIGCHLDWaker", "_UnixWaker", "_SocketWaker", "_FDWaker")
"""The reactor's own; the first appears with the first child process."""


# The same examples in every run, and no time limit for one: what fails, fails everywhere. --hypothesis-profile=explore looks further.
hypothesis.settings.register_profile("scalelab", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("explore", derandomize=False, deadline=None, max_examples=2000)
hypothesis.settings.load_profile("scalelab")


def pytest_configure(config: pytest.Config) -> None:
    # What a script starts in the background ignores Ctrl-C, and so would every process that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Until logging has begun, Twisted keeps the last 65,536 events, and with them every object that logged: one that is
    # dropped without being closed would be noticed thousands of tests later.
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    config.addinivalue_line("markers", f"deadline(seconds): how long a coroutine test may take ({DEADLINE_S:.0f} s unless said)")


def pytest_collection_finish() -> None:
    # What was imported stays; frozen, it costs the collections after each test nothing.
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Give a coroutine test its deadline; pytest-twisted then runs it."""
    marker = pyfuncitem.get_closest_marker("deadline")
    seconds = float(marker.args[0]) if marker is not None else DEADLINE_S
    hypothesis = getattr(pyfuncitem.obj, "hypothesis", None)
    if hypothesis is not None:
        if inspect.iscoroutinefunction(hypothesis.inner_test):
            hypothesis.inner_test = _timed(hypothesis.inner_test, seconds)
    elif inspect.iscoroutinefunction(pyfuncitem.obj):
        pyfuncitem.obj = _timed(pyfuncitem.obj, seconds)


def _timed(test: Callable[..., Any], seconds: float) -> Callable[..., Deferred[Any]]:
    @functools.wraps(test)
    def timed(*args: Any, **kwargs: Any) -> Deferred[Any]:
        from twisted.internet import reactor

        return Deferred.fromCoroutine(test(*args, **kwargs)).addTimeout(seconds, reactor)

    return timed


@implementer(ILogObserver)
class LoggedFailures:
    """The failures that were logged during a test. Those that a test does not ``flush`` fail it."""

    def __init__(self) -> None:
        self._events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        if "log_failure" not in event and isinstance(event.get("failure"), Failure):
            event = {**event, "log_failure": event["failure"]}  # twisted.python.log.err, as Twisted itself still writes
        if "log_failure" in event and event.get("log_level") in (LogLevel.error, LogLevel.critical):
            self._events.append(event)

    def flush(self, *kinds: type[BaseException]) -> list[Failure]:
        """Take out, and return, the logged failures of these types (all of them when none is named)."""
        taken = [event for event in self._events if not kinds or event["log_failure"].check(*kinds)]
        self._events = [event for event in self._events if event not in taken]
        return [event["log_failure"] for event in taken]

    def unhandled(self) -> list[str]:
        """What was logged because a Deferred ended with a failure that nobody took."""
        return [eventAsText(event) for event in self._events if event.get("log_namespace") == "twisted.internet.defer"]

    def texts(self) -> list[str]:
        return [eventAsText(event) for event in self._events]


class Leftovers:
    """What stands in the reactor now and did not when this was made."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._calls = set(map(id, reactor.getDelayedCalls()))
        self._selectables = set(map(id, self._now_selected()))

    def _now_selected(self) -> list[Any]:
        found = [*self._reactor.getReaders(), *self._reactor.getWriters()]
        return [s for s in found if type(s).__name__ not in OWN_SELECTABLES]

    def found(self) -> list[str]:
        calls = [str(call) for call in self._reactor.getDelayedCalls() if id(call) not in self._calls]
        return calls + [repr(s) for s in self._now_selected() if id(s) not in self._selectables]


@pytest.fixture(autouse=True)
def logged_failures(request: pytest.FixtureRequest) -> Iterator[LoggedFailures]:
    """Fails a test that leaks DelayedCalls or selectables, or that logs a failure which it does not expect.

    A plain test takes expected ones out with ``logged_failures.flush(ValueError)``; a trial test case with its own
    ``flushLoggedErrors`` (trial itself fails it for the others). A Deferred whose failure nobody handled fails either.
    """
    from twisted.internet import reactor

    failures = LoggedFailures()
    leftovers = Leftovers(reactor)
    globalLogPublisher.addObserver(failures)
    try:
        yield failures
        for _ in range(10):
            if not leftovers.found():
                break
            # a closed socket is gone one turn of the reactor later
            pytest_twisted.blockon(deferLater(reactor, 0.01))
        gc.collect()
        gc.freeze()  # what is left stays: the next collection looks at its own test only, and not at a heap that grows with the suite
    finally:
        globalLogPublisher.removeObserver(failures)
    left = leftovers.found()
    if left:
        pytest.fail("the test left in the reactor:\n" + "\n".join(left), pytrace=False)
    own = isinstance(request.instance, SynchronousTestCase)
    logged = failures.unhandled() if own else failures.texts()
    if logged:
        pytest.fail("failures were logged that the test does not expect:\n" + "\n".join(logged), pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_user() -> Iterator[None]:
    """A ``SCALELAB_`` variable of whoever runs the tests must not change them."""
    taken = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("SCALELAB_")}
    # a script of tools/ that a test starts uses the environment that the test runs in
    os.environ["SCALELAB_VENV"] = sys.prefix
    yield
    del os.environ["SCALELAB_VENV"]
    os.environ.update(taken)


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """``start(plugin, *args, env=..., config=..., cwd=..., listen=...)``: a real twistd; it is ended with the test.

    ``start("scalelab-cache").wait_listening()`` is its port.
    """
    with processes() as started:

        def begin(plugin: str, *args: str, **more: Any) -> Process:
            process = Process.start(plugin, *args, **more)
            started.append(process)
            return process

        yield begin


@pytest.fixture
def run() -> Iterator[Callable[..., Process]]:
    """``run(argv, env=..., cwd=...)``: any other command as a ``Process``; ``sys.executable`` is the interpreter to use."""
    with processes() as started:

        def begin(*argv: str, **more: Any) -> Process:
            process = Process(argv or [sys.executable], **more)
            started.append(process)
            return process

        yield begin


@pytest.fixture
def http() -> HTTPClient:
    """A blocking client for real processes: ``http.get(port, "/health").json()``."""
    return HTTPClient()
