"""The configuration is read again: taken in as a whole or not at all, one reload after the other, and whoever asked is answered."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, gatherResults
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import provider

from scalability.balancer import reload as module
from scalability.balancer.change import Change
from scalability.balancer.config import BalancerOptions
from scalability.balancer.reload import Outcome, Reload, Result
from scalability.errors import ConfigError
from scalability.upstream.discovery import Backend


def options(*backends: str, **more: Any) -> BalancerOptions:
    return BalancerOptions(backend=tuple(map(Backend.parse, backends or ("a:1",))), **more)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        if str(event.get("log_format")).startswith("the configuration "):
            lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


class Scene:
    """What is read next stands in ``next``: options, or an exception; ``applied`` gets each change."""

    def __init__(self) -> None:
        from twisted.internet import reactor

        self.next: BalancerOptions | Exception = options()
        self.reads = 0
        self.applied: list[Change] = []
        self.hold: Event | None = None
        self.failing = 0
        self.reload = Reload(reactor, options(), self.read, self.apply)

    def apply(self, change: Change) -> None:
        self.applied.append(change)
        if self.failing:
            self.failing -= 1
            raise KeyError("half way")

    def read(self) -> BalancerOptions:
        self.reads += 1
        found = self.next
        if self.hold is not None:
            self.hold.wait(20)
        if isinstance(found, Exception):
            raise found
        return found


@asynccontextmanager
async def running() -> AsyncIterator[Scene]:
    scene = Scene()
    scene.reload.startService()
    try:
        yield scene
    finally:
        if scene.hold is not None:
            scene.hold.set()
        await scene.reload.stopService()


async def test_a_change_is_taken_in_and_told(logged: list[str]) -> None:
    async with running() as scene:
        before = scene.reload.good_s
        scene.next = options("b:1", idle_timeout_s=30.0)
        what = "backend +b:1 -a:1, idle_timeout 75.0 -> 30.0"
        assert await scene.reload.now() == Outcome(Result.CHANGED, what, ("backend", "idle_timeout"))
        (change,) = scene.applied
        assert (change.old, change.new) == (options(), scene.next)
        assert scene.reload.options == scene.next
        assert scene.reload.good_s > before
        assert logged == [f"the configuration has changed: {what}"]
        assert (await scene.reload.now()).result is Result.UNCHANGED
        assert len(scene.applied) == 1


async def test_a_bad_file_changes_nothing_and_says_why_in_one_line(logged: list[str]) -> None:
    async with running() as scene:
        before = scene.reload.good_s
        scene.next = ConfigError("lb.toml: [lb] backend", "'b'\nis not HOST:PORT")
        why = "lb.toml: [lb] backend: 'b' is not HOST:PORT"
        assert await scene.reload.now() == Outcome(Result.REFUSED, why, ("lb.toml: [lb] backend",))
        assert scene.applied == []
        assert (scene.reload.options, scene.reload.good_s) == (options(), before)
        assert logged == [f"the configuration is not changed: {why}"]
        scene.next = options("b:1")
        assert (await scene.reload.now()).result is Result.CHANGED, "the next one is another chance"
        assert scene.reload.counts == {Result.CHANGED: 1, Result.UNCHANGED: 0, Result.REFUSED: 1, Result.FAILED: 0}


async def test_what_fails_half_way_is_taken_back(logged: list[str], logged_failures: Any) -> None:
    async with running() as scene:
        before = scene.reload.good_s
        scene.failing = 1
        scene.next = options("b:1")
        why = "backend +b:1 -a:1 failed (KeyError), and what had changed is as it was"
        assert await scene.reload.now() == Outcome(Result.REFUSED, why, ("backend",))
        there, back = scene.applied
        assert (back.old, back.new) == (there.new, there.old)
        assert (scene.reload.options, scene.reload.good_s) == (options(), before)
        assert logged == [f"the configuration is not changed: {why}"]
        assert len(logged_failures.flush(KeyError)) == 1
        assert (await scene.reload.now()).result is Result.CHANGED, "the next one is another chance"


async def test_what_cannot_be_taken_back_is_said_to_have_changed_in_part(logged: list[str], logged_failures: Any) -> None:
    async with running() as scene:
        scene.failing = 2
        scene.next = options("b:1")
        outcome = await scene.reload.now()
        why = "backend +b:1 -a:1 failed half way (KeyError), and could not be taken back; a restart is needed"
        assert outcome == Outcome(Result.FAILED, why, ("backend",))
        assert logged == [f"the configuration is changed in part: {why}"]
        assert scene.reload.counts[Result.FAILED] == 1
        assert len(logged_failures.flush(KeyError)) == 2


async def test_what_needs_a_restart_is_refused_as_a_whole() -> None:
    async with running() as scene:
        scene.next = options("b:1", workers=2, max_connections=5)
        outcome = await scene.reload.now()
        assert outcome == Outcome(
            Result.REFUSED, "a restart is needed for another max_connections, workers", ("max_connections", "workers")
        )
        assert scene.applied == []


async def test_a_file_of_servers_that_is_named_anew_is_read_along_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "servers"
    async with running() as scene:
        scene.next = options(f"file:{file}")
        outcome = await scene.reload.now()
        assert outcome.what.startswith(f"--backend: cannot read {file}")
        file.write_text("b:1\nc:1\n")
        assert (await scene.reload.now()).result is Result.CHANGED
        assert [str(spec) for spec in scene.applied[0].files[file].specs] == ["b:1", "c:1"]
        file.unlink()
        scene.next = options(f"file:{file}", "d:1")
        assert (await scene.reload.now()).result is Result.CHANGED, "one that is known already is watched"
        assert scene.applied[1].files == {}


async def test_a_file_with_another_admin_token_must_be_good(tmp_path: Path) -> None:
    file = tmp_path / "token"
    async with running() as scene:
        scene.next = options(admin_token_file=file)
        file.write_text("short")
        assert (await scene.reload.told())[0] == "refused"
        file.write_text("0123456789abcdef")
        assert await scene.reload.told() == ("changed", f'admin_token_file off -> "{file}"')


async def test_reloads_do_not_overlap_and_those_who_ask_meanwhile_share_the_next_one() -> None:
    async with running() as scene:
        scene.hold = Event()
        scene.next = options("b:1")
        first = scene.reload.now()
        while not scene.reads:
            await pause()
        scene.next = options("c:1")
        others = [scene.reload.now() for _ in range(5)]
        given_up = scene.reload.now()
        given_up.cancel()
        scene.hold.set()
        with pytest.raises(CancelledError):
            await given_up
        assert (await first).what == "backend +b:1 -a:1"
        assert {outcome.what for outcome in await gatherResults(others)} == {"backend +c:1 -b:1"}
        assert scene.reads == 2


async def test_whoever_gives_up_while_it_is_read_is_not_told() -> None:
    async with running() as scene:
        scene.hold = Event()
        scene.next = options("b:1")
        waiting = scene.reload.now()
        while not scene.reads:
            await pause()
        waiting.cancel()
        with pytest.raises(CancelledError):
            await waiting
        scene.hold.set()
        assert (await scene.reload.now()).result is Result.UNCHANGED
        assert len(scene.applied) == 1


async def test_a_disk_that_hangs_does_not_hold_it_up_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_S", 0.05)
    async with running() as scene:
        scene.hold = Event()
        assert await scene.reload.now() == Outcome(Result.REFUSED, "it could not be read within 0.05 s")
        scene.hold.set()
        while (outcome := await scene.reload.now()).result is Result.REFUSED:
            await pause()
        assert outcome.result is Result.UNCHANGED


async def test_a_mistake_of_ours_is_an_answer_too(logged_failures: Any) -> None:
    async with running() as scene:
        scene.next = RuntimeError("a mistake")
        assert await scene.reload.now() == Outcome(Result.REFUSED, "it failed: RuntimeError")
        assert len(logged_failures.flush(RuntimeError)) == 1
        scene.next = options("b:1")
        assert (await scene.reload.now()).result is Result.CHANGED


async def test_the_signal_asks_for_one_and_ends_nobody() -> None:
    before = signal.getsignal(signal.SIGHUP)
    async with running() as scene:
        scene.next = options("b:1")
        os.kill(os.getpid(), signal.SIGHUP)
        while not scene.applied:
            await pause()
    assert signal.getsignal(signal.SIGHUP) is before


async def test_before_its_start_and_after_its_end_nothing_is_read() -> None:
    async with running() as scene:
        pass
    assert (await scene.reload.now()).what.startswith("the balancer is stopping")
    assert scene.reads == 0


async def pause() -> None:
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    await deferLater(reactor, 0.01)
