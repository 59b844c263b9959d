"""The supervisor with real processes that misbehave."""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, eventAsText, globalLogPublisher

from scalability.lab.supervisor import ChildSpec, State, Supervisor
from scalability.testing.processes import alive

PATIENT = "import time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        lines.append(eventAsText(event, includeTimestamp=False))

    watch: Any = observe
    globalLogPublisher.addObserver(watch)
    yield lines
    globalLogPublisher.removeObserver(watch)


async def until(condition: Any, *, timeout_s: float = 15.0) -> None:
    """Wait for the condition, looking every hundredth of a second."""
    from twisted.internet import reactor

    deadline = reactor.seconds() + timeout_s
    while not condition():
        assert reactor.seconds() < deadline
        await deferLater(reactor, 0.01)


@asynccontextmanager
async def supervising(*programs: str, **settings: Any) -> AsyncIterator[Supervisor]:
    """Children 0, 1, ... that run these Python programs."""
    from twisted.internet import reactor

    supervisor = Supervisor(reactor, environ=os.environ, **{key: settings.pop(key) for key in ("given_up", "grace_s") if key in settings})
    for name, value in settings.items():
        setattr(supervisor, name, value)
    for number, program in enumerate(programs):
        supervisor.add(ChildSpec(str(number), [sys.executable, "-u", "-c", program]))
    supervisor.startService()
    try:
        yield supervisor
    finally:
        supervisor.stopService()
        supervisor.hurry()
        await supervisor.stopService()


def pid(supervisor: Supervisor, name: str = "0") -> int:
    protocol: Any = supervisor.protocols[name]
    found: int = protocol.transport.pid
    return found


async def test_a_child_that_ignores_sigterm_is_killed_when_its_time_is_over(log: list[str]) -> None:
    async with supervising(PATIENT, killTime=1, grace_s=0.5) as supervisor:
        await until(lambda: "[0] deaf" in log)
        child = pid(supervisor)
        await supervisor.stopService()
        assert not alive(child)
    assert "[lab] 0 did not end in time and is killed" in log


async def test_a_grandchild_that_keeps_the_output_open_does_not_keep_its_dead_parent_from_being_restarted(log: list[str]) -> None:
    program = "import os, subprocess, sys; g = subprocess.Popen(['sleep', '60']); print('grandchild', g.pid); os.kill(os.getpid(), 9)"
    async with supervising(program, maxRestartDelay=0.1) as supervisor:
        await until(lambda: supervisor.children["0"].restarts >= 2)
    for line in log:
        if line.startswith("[0] grandchild "):
            os.kill(int(line.rpartition(" ")[2]), 9)


async def test_a_crash_loop_ends_with_one_line(log: list[str]) -> None:
    given_up: list[tuple[str, str]] = []
    async with supervising(
        "import sys; sys.exit('no such file: x')", restart_limit=3, maxRestartDelay=0.1, given_up=lambda *what: given_up.append(what)
    ) as supervisor:
        supervisor.mark_ready("0")
        await until(lambda: given_up)
        assert supervisor.children["0"].state is State.GIVEN_UP
    assert given_up == [("0", "ended with status 1, 3 times in a row, each time within 5 s of its start; its last words: no such file: x")]
    assert len([line for line in log if "starting it again" in line]) == 2


async def test_a_flood_of_output_without_a_newline_arrives_in_bounded_lines(log: list[str]) -> None:
    async with supervising("import sys, time; sys.stdout.write('x' * 100_000); print(); print('done'); time.sleep(60)"):
        await until(lambda: "[0] done" in log)
    flood = [line for line in log if line.startswith("[0] x")]
    assert max(map(len, flood)) < 9000
    assert sum(line.count("x") for line in flood) == 100_000


async def test_a_child_that_is_stopped_by_a_signal_can_still_be_killed(log: list[str]) -> None:
    async with supervising("import os, signal; print('up'); os.kill(os.getpid(), signal.SIGSTOP)", killTime=1, grace_s=0.2) as supervisor:
        await until(lambda: "[0] up" in log)
        child = pid(supervisor)
        await supervisor.stopService()
        assert not alive(child)


async def test_children_share_no_pipe_so_that_each_sees_the_end_of_its_own(log: list[str]) -> None:
    program = (
        "import os; print('pipe', os.readlink('/proc/self/fd/0'), sorted(os.listdir('/proc/self/fd'))[:-1]); import time; time.sleep(60)"
    )
    async with supervising(program, program):
        await until(lambda: len([line for line in log if "] pipe" in line]) == 2)
    first, second = (line.split("pipe ")[1] for line in log if "] pipe" in line)
    assert first.split()[0] != second.split()[0]
    assert first.endswith("['0', '1', '2']")
    assert second.endswith("['0', '1', '2']")
