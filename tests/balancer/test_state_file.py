"""What operators have set outlives the process, whatever becomes of the file."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import provider

from scalability.balancer import state_file as module
from scalability.balancer.state_file import StateFile, Wanted, read_state, write_state
from scalability.testing.upstreams import fake_pool
from scalability.upstream.selection import RoundRobin
from scalability.upstream.server import Mode
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        if str(event.get("log_format")).startswith("the state file "):
            lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


class House:
    """A balancer's servers, and the file."""

    def __init__(self, path: Path, *servers: str) -> None:
        from twisted.internet import reactor

        self.upstream = Upstream(RoundRobin, fake_pool)
        self.name(*servers)
        self.file = StateFile(reactor, path, self.upstream)

    def name(self, *servers: str) -> None:
        self.upstream.name_servers("test", [ServerSpec.parse(text) for text in servers], trusted=True)

    def server(self, name: str) -> Any:
        return self.upstream.server_named(name)

    def wanted(self) -> dict[str, tuple[str, int]]:
        return {server.name: (server.mode.value, server.weight) for server in self.upstream}


@asynccontextmanager
async def house(path: Path, *servers: str) -> AsyncIterator[House]:
    made = House(path, *servers)
    made.file.startService()
    try:
        yield made
    finally:
        await made.file.stopService()


async def test_modes_and_weights_are_there_again_and_all_else_is_as_configured(tmp_path: Path) -> None:
    path = tmp_path / "state"
    async with house(path, "a:1", "b:1", "c:1,weight=2") as first:
        first.upstream.set_mode(first.server("a:1"), Mode.DRAIN)
        first.upstream.set_weight(first.server("b:1"), 7)
        first.upstream.set_mode(first.server("c:1"), Mode.MAINT)
        first.upstream.set_mode(first.server("c:1"), Mode.READY)
    assert msgspec.json.decode(path.read_bytes())["servers"] == {
        "a:1": {"mode": "drain", "weight": None, "configured_weight": 1},
        "b:1": {"mode": "ready", "weight": 7, "configured_weight": 1},
    }
    async with house(path, "a:1", "b:1", "c:1,weight=2") as second:
        assert second.wanted() == {"a:1": ("drain", 1), "b:1": ("ready", 7), "c:1": ("ready", 2)}
        second.upstream.set_mode(second.server("a:1"), Mode.READY)
        second.upstream.set_weight(second.server("b:1"), None)
    assert read_state(path) == {}
    assert os.listdir(tmp_path) == ["state"]


async def test_a_change_is_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "state"
    async with house(path, "a:1") as made:
        made.upstream.set_mode(made.server("a:1"), Mode.MAINT)
        made.upstream.set_weight(made.server("a:1"), 3)  # while the first is being written
        writing = made.file._writing
        assert writing is not None
        await writing
        assert read_state(path) == {"a:1": Wanted(Mode.MAINT, 3, 1)}


async def test_it_waits_for_servers_that_join_later_and_a_weight_ends_with_the_configured_one(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_state(path, {"a:1": Wanted(Mode.MAINT, 3, 1), "b:1": Wanted(Mode.DRAIN), "never:1": Wanted(Mode.DRAIN)})
    async with house(path) as made:
        made.name("a:1,weight=2", "b:1")
        assert made.wanted() == {"a:1": ("maint", 2), "b:1": ("drain", 1)}
    assert read_state(path) == {"a:1": Wanted(Mode.MAINT, None, 2), "b:1": Wanted(Mode.DRAIN), "never:1": Wanted(Mode.DRAIN)}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"{", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"servers": {"a:1": {"mode": "gone"}}}', "gone"),
        (b'{"servers": {"a:1": {"weight": 257}}}', "256"),
        (b'{"version": 2, "servers": {}}', "its version is 2"),
        (b" " * 100, "more than 50 bytes"),
    ],
)
async def test_an_unreadable_file_is_set_aside_with_a_warning(
    tmp_path: Path, data: bytes, why: str, logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 50)
    path = tmp_path / "state"
    path.write_bytes(data)
    async with house(path, "a:1") as made:
        assert made.wanted() == {"a:1": ("ready", 1)}
    (line,) = logged
    assert why in line
    assert f"it is {path}.bad now" in line
    assert (tmp_path / "state.bad").read_bytes() == data
    assert not path.exists()


async def test_what_cannot_be_written_is_said_and_no_more_comes_of_it(tmp_path: Path, logged: list[str]) -> None:
    async with house(tmp_path / "none" / "state", "a:1") as made:
        made.upstream.set_mode(made.server("a:1"), Mode.DRAIN)
    assert logged == [f"the state file {tmp_path}/none/state cannot be written: No such file or directory"]
    assert made.wanted() == {"a:1": ("drain", 1)}


def test_an_old_file_stays_whole_when_the_new_one_cannot_be_put_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state"
    write_state(path, {"a:1": Wanted(Mode.DRAIN)})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_state(path, {})
    assert read_state(path) == {"a:1": Wanted(Mode.DRAIN)}
    assert os.listdir(tmp_path) == ["state"]
