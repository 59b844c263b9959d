"""The rules of conftest.py, tried on tests that break them."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scalability.testing.processes import CHECKOUT, Process

BREAKING = """
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

log = Logger()


def test_leaks_a_call():
    from twisted.internet import reactor
    reactor.callLater(100, print)

def test_leaks_a_port():
    from twisted.internet import reactor
    reactor.listenTCP(0, Factory(), interface="127.0.0.1")

async def test_closes_its_port():
    from twisted.internet import reactor
    port = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
    await port.stopListening()

def test_leaves_a_failure():
    Deferred().errback(ValueError("nobody took it"))

async def test_leaves_a_coroutine_that_fails():
    from twisted.internet import reactor

    async def fail():
        await deferLater(reactor, 0.01)
        raise ValueError("in the background")

    Deferred.fromCoroutine(fail())
    await deferLater(reactor, 0.05)

def test_logs_a_failure():
    log.failure("oh", Failure(ValueError("unexpected")))

def test_logs_a_failure_that_it_expects(logged_failures):
    log.failure("oh", Failure(ValueError("expected")))
    assert len(logged_failures.flush(ValueError)) == 1

@pytest.mark.deadline(0.2)
async def test_never_ends():
    await Deferred()

def test_can_interrupt_what_it_starts_even_in_the_background():
    import signal, subprocess, sys
    child = subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(30)"], stdout=-1, stderr=-1)
    with child:
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=10)
    assert child.returncode == -signal.SIGINT

class TestOfTrial(SynchronousTestCase):
    def test_flushes(self):
        log.failure("oh", Failure(ValueError("expected")))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_does_not_flush(self):
        log.failure("oh", Failure(ValueError("unexpected")))
"""

KEPT = {
    "test_closes_its_port",
    "test_logs_a_failure_that_it_expects",
    "test_flushes",
    "test_can_interrupt_what_it_starts_even_in_the_background",
}


@pytest.mark.parametrize("reactor", ["default", "asyncio"])
def test_a_test_that_breaks_a_rule_fails_and_one_that_keeps_it_passes(tmp_path: Path, run: Callable[..., Process], reactor: str) -> None:
    shutil.copy(CHECKOUT / "tests/conftest.py", tmp_path)
    (tmp_path / "test_breaking.py").write_text(BREAKING)
    in_the_background = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
    command = [
        *in_the_background,
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-rA",
        "-W",
        "error",
        "--reactor",
        reactor,
        ".",
    ]
    process = run(*command, cwd=tmp_path)
    assert process.wait(timeout_s=60) == 1, process.output
    told: dict[str, set[str]] = {}
    for verdict, name in re.findall(r"^(PASSED|FAILED|ERROR) \S+::(\w+)", process.stdout, re.MULTILINE):
        told.setdefault(name, set()).add(verdict)
    assert {name for name, verdicts in told.items() if verdicts == {"PASSED"}} == KEPT, process.output
    assert len(told) == BREAKING.count("def test_")
    for words in ("left in the reactor", "nobody took it", "in the background", "unexpected", "TimeoutError"):
        assert words in process.stdout
