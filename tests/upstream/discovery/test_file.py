"""Servers from a file: what its lines say, and what becomes of each change."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import provider

from scalability.errors import ConfigError, Overloaded
from scalability.testing.upstreams import fake_pool
from scalability.upstream.discovery import file as module
from scalability.upstream.discovery.backend import ServerFile
from scalability.upstream.discovery.file import FileDiscovery, read_file, read_servers, read_settled, servers_in, signature_of
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def test_a_line_names_a_server_and_comments_and_empty_lines_none() -> None:
    data = b"# two of them\n\n10.0.0.1:80,weight=3\r\n   10.0.0.2:80,backup   # the old one\n#10.0.0.3:80"
    assert servers_in(data) == [ServerSpec.parse("10.0.0.1:80,weight=3"), ServerSpec.parse("10.0.0.2:80,backup")]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"10.0.0.1:80\n\nnonsense\n10.0.0.2:80\n", "line 3: 'nonsense' is not HOST:PORT"),
        (b"10.0.0.1:80,weight=300", "line 1: .* weight must be a whole number"),
        (b"10.0.0.1:80 10.0.0.2:80", "line 1: "),
        (b"dns:gateway:80", "line 1: "),
        (b"a:1\nb:1\na:1,backup\n", "line 3: a:1 stands in line 1 already"),
        (b"a:1\n\xff\n", "line 2 is not UTF-8"),
        (b"", "it names no server"),
        (b"# none\n\n", "it names no server"),
    ],
)
def test_a_bad_line_is_named_by_its_number(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        servers_in(data)


def test_a_file_has_a_limit_of_servers_and_of_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SERVERS", 2)
    with pytest.raises(ValueError, match="line 4: a file may name 2 servers"):
        servers_in(b"a:1\na:2\n\na:3\n")
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    file = tmp_path / "servers"
    file.write_bytes(b"a:1\n#" + b"x" * 20)
    with pytest.raises(ConfigError, match="more than 10 bytes"):
        read_servers(file)


def test_what_cannot_be_read_says_which_file_it_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--backend: cannot read .*none: No such file"):
        read_servers(tmp_path / "none")
    with pytest.raises(ConfigError, match="Is a directory"):
        read_servers(tmp_path)
    (tmp_path / "bad").write_bytes(b"a:1\nb\n")
    with pytest.raises(ConfigError, match=r"--backend: .*bad: line 2: 'b' is not HOST:PORT"):
        read_servers(tmp_path / "bad")


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    (tmp_path / "servers").write_bytes(b"\xef\xbb\xbfa:1\n")
    assert read_servers(tmp_path / "servers") == [ServerSpec.parse("a:1")]


def test_a_file_that_is_still_being_written_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "servers"
    file.write_bytes(b"a:1\n")
    seen = signature_of(file)
    assert seen is not None
    assert read_settled(file, seen) == [ServerSpec.parse("a:1")]
    file.write_bytes(b"a:1\nb:1\n")
    assert read_settled(file, seen) is None


def test_a_file_that_changes_while_it_is_read_is_read_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "servers"
    file.write_bytes(b"a:1\n")

    def read(path: Path, workers: int) -> list[ServerSpec]:
        path.write_bytes(b"a:1\nb:1\n")
        raise ConfigError("--backend", "it is half written")

    monkeypatch.setattr(module, "read_servers", read)
    seen = signature_of(file)
    assert seen is not None
    assert read_settled(file, seen) is None


class Watched:
    """A file, and the servers that a balancer takes from it."""

    def __init__(self, folder: Path, **more: Any) -> None:
        from twisted.internet import reactor

        self.path = folder / "servers"
        self.path.write_text("a:1\nb:1,weight=2\n")
        self.upstream = Upstream(RoundRobin, fake_pool)
        self.watch = FileDiscovery(
            reactor, ServerFile(self.path), read_file(self.path), self.upstream, interval_s=3600, settled_s=0.01, **more
        )
        self._clock_ns = os.stat(self.path).st_mtime_ns

    def write(self, text: str) -> None:
        """Write the file in place, visibly later than before."""
        self.path.write_text(text)
        self._clock_ns += 1_000_000_000
        os.utime(self.path, ns=(self._clock_ns, self._clock_ns))

    def servers(self) -> dict[str, int]:
        return {server.name: server.weight for server in self.upstream}


@asynccontextmanager
async def watched(folder: Path, **more: Any) -> AsyncIterator[Watched]:
    found = Watched(folder, **more)
    found.watch.startService()
    try:
        yield found
    finally:
        await found.watch.stopService()


async def test_servers_are_there_from_the_start_and_take_traffic_at_once(tmp_path: Path) -> None:
    file = Watched(tmp_path)
    assert file.servers() == {"a:1": 1, "b:1": 2}
    assert all(server.health.state.usable for server in file.upstream)


async def test_a_change_is_taken_in_as_a_whole(tmp_path: Path) -> None:
    async with watched(tmp_path) as file:
        kept = next(iter(file.upstream))
        file.write("a:1,weight=5\nc:1\n")
        await file.watch.look()
        assert file.servers() == {"a:1": 5, "c:1": 1}
        new = list(file.upstream)[-1]
        assert next(iter(file.upstream)) is kept
        assert (kept.health.state.usable, new.health.state.usable) == (True, False), "a new one waits for its first check"


async def test_a_file_that_takes_its_place_is_a_change(tmp_path: Path) -> None:
    async with watched(tmp_path) as file:
        before = os.stat(file.path)
        (tmp_path / "new").write_text("c:1\nd:1,weight=2\n")
        os.utime(tmp_path / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
        (tmp_path / "new").replace(file.path)
        await file.watch.look()
        assert file.servers() == {"c:1": 1, "d:1": 2}


async def test_a_bad_file_changes_nothing_says_why_once_and_its_next_change_is_another_chance(tmp_path: Path, logged: list[str]) -> None:
    async with watched(tmp_path) as file:
        file.write("c:1\nd\n")
        await file.watch.look()
        await file.watch.look()
        assert file.servers() == {"a:1": 1, "b:1": 2}
        assert len([line for line in logged if "line 2: 'd' is not HOST:PORT; servers kept: 2" in line]) == 1
        file.write("c:1\nd:1\n")
        await file.watch.look()
        assert file.servers() == {"c:1": 1, "d:1": 1}


async def test_a_file_whose_limits_the_workers_cannot_share_changes_nothing(tmp_path: Path, logged: list[str]) -> None:
    async with watched(tmp_path, workers=2) as file:
        file.write("a:1,weight=9\nb:1,maxconn=1\n")
        await file.watch.look()
        assert file.servers() == {"a:1": 1, "b:1": 2}
        assert any("line 2: 2 workers cannot share the maxconn=1 of b:1; each needs 1 at least; servers kept: 2" in line for line in logged)
        with pytest.raises(ConfigError, match="line 2: 2 workers cannot share"):
            read_file(file.path, 2)
        file.write("a:1,weight=9\nb:1,maxconn=2\n")
        await file.watch.look()
        assert file.servers() == {"a:1": 9, "b:1": 1}


@pytest.mark.parametrize("emptied", ["", "# all gone\n"])
async def test_an_emptied_file_changes_nothing(tmp_path: Path, logged: list[str], emptied: str) -> None:
    async with watched(tmp_path) as file:
        file.write(emptied)
        await file.watch.look()
        assert file.servers() == {"a:1": 1, "b:1": 2}
        assert any("it names no server; servers kept: 2" in line for line in logged)


async def test_a_file_that_vanishes_keeps_its_servers_and_one_that_comes_back_is_read(tmp_path: Path, logged: list[str]) -> None:
    async with watched(tmp_path) as file:
        file.path.unlink()
        await file.watch.look()
        await file.watch.look()
        assert file.servers() == {"a:1": 1, "b:1": 2}
        assert len([line for line in logged if "there is no file" in line]) == 1
        file.write("c:1\n")
        await file.watch.look()
        assert file.servers() == {"c:1": 1}


async def test_it_is_looked_at_without_being_asked(tmp_path: Path) -> None:
    from twisted.internet import reactor

    file = Watched(tmp_path)
    watch = FileDiscovery(reactor, ServerFile(file.path), read_file(file.path), file.upstream, interval_s=0.02, settled_s=0.01)
    watch.startService()
    try:
        file.write("c:1\n")
        for _ in range(200):
            if file.servers() == {"c:1": 1}:
                break
            await deferLater(reactor, 0.02)
        assert file.servers() == {"c:1": 1}
    finally:
        await watch.stopService()


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_file(tmp_path / "none")


async def test_what_is_read_while_it_is_stopped_is_not_told(tmp_path: Path) -> None:
    async with watched(tmp_path) as file:
        file.write("c:1\n")
        looking = Deferred.fromCoroutine(file.watch.look())
        stopping = file.watch.stopService()
        with suppress(Overloaded):
            await looking
        await stopping
        assert file.servers() == {"a:1": 1, "b:1": 2}
