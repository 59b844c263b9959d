"""What finds servers comes and goes with the configuration; what stays is left alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from twisted.internet.defer import Deferred

from scalability.errors import ConfigError
from scalability.testing.upstreams import fake_pool
from scalability.upstream.discovery import Backend, DNSDiscovery, FileDiscovery
from scalability.upstream.discovery.srv import ServiceRecord
from scalability.upstream.resolver import NameResolver
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream
from scalability.upstream.sources import Sources, read_files


class Names:
    """A resolver that knows ``addresses``; a name that is not among them is asked for until somebody gives up."""

    def __init__(self) -> None:
        self.addresses: dict[str, tuple[str, ...]] = {}
        self.asked: list[str] = []

    async def resolve(self, name: str) -> tuple[str, ...]:
        self.asked.append(name)
        if name not in self.addresses:
            await Deferred()
        return self.addresses[name]

    async def services(self, name: str) -> tuple[ServiceRecord, ...]:
        return (ServiceRecord(0, 1, 80, "target", self.addresses[name]),)


class Scene:
    """Sources that run, on the real clock; nothing in these tests waits for it."""

    def __init__(self, *backends: str) -> None:
        from twisted.internet import reactor

        self.names = Names()
        self.upstream = Upstream(RoundRobin, fake_pool)
        self.sources = Sources(reactor, self.upstream, cast(NameResolver, self.names), interval_s=3600)
        self.backends = tuple(map(Backend.parse, backends))
        self.sources.begin(self.backends, read_files(self.backends), trusted=True)

    def replace(self, *backends: str) -> None:
        before, self.backends = self.backends, tuple(map(Backend.parse, backends))
        self.sources.replace(self.backends, read_files(self.backends, before))

    def servers(self) -> dict[str, int]:
        return {server.name: server.weight for server in self.upstream}

    def discoveries(self) -> list[FileDiscovery | DNSDiscovery]:
        return [part for part in self.sources if isinstance(part, FileDiscovery | DNSDiscovery)]

    def prove(self) -> None:
        for server in self.upstream:
            self.upstream.judge(server, True, "checked")


@asynccontextmanager
async def running(*backends: str, **addresses: tuple[str, ...]) -> AsyncIterator[Scene]:
    scene = Scene(*backends)
    scene.names.addresses = addresses
    scene.sources.startService()
    try:
        yield scene
    finally:
        await scene.sources.stopService()


async def test_servers_that_stay_keep_their_state_and_new_ones_wait_for_a_check() -> None:
    async with running("a:1", "b:1") as scene:
        scene.prove()
        kept = next(iter(scene.upstream))
        scene.replace("a:1,weight=3", "c:1")
        assert scene.servers() == {"a:1": 3, "c:1": 1}
        a, c = scene.upstream
        assert a is kept
        assert (a.health.state.usable, c.health.state.usable) == (True, False)


async def test_a_discovery_that_stays_is_left_alone_and_one_that_is_gone_takes_its_servers_along(tmp_path: Path) -> None:
    (tmp_path / "servers").write_text("f:1\n")
    async with running("a:1", f"file:{tmp_path / 'servers'}", "dns:web:80", web=("10.0.0.1",)) as scene:
        scene.prove()
        file, web = scene.discoveries()
        scene.replace("dns:web:80", "b:1", f"file:{tmp_path / 'servers'}")
        assert scene.discoveries() == [file, web]
        assert set(scene.servers()) == {"f:1", "10.0.0.1:80", "b:1"}
        scene.replace("b:1", f"file:{tmp_path / 'servers'}")
        assert scene.discoveries() == [file]
        assert not web.running
        assert set(scene.servers()) == {"f:1", "b:1"}
        scene.replace("b:1")
        assert scene.discoveries() == []
        scene.prove()
        await scene.sources.stopService()
        assert "b:1" in scene.servers()


async def test_other_options_of_a_name_change_its_servers_in_place() -> None:
    async with running("dns:web:80", web=("10.0.0.1",)) as scene:
        scene.prove()
        (server,) = scene.upstream
        scene.replace("dns:web:80,weight=5")
        assert list(scene.upstream) == [server]
        assert server.weight == 5
        assert len(scene.discoveries()) == 1
        assert scene.upstream.sources_of(server) == ["dns:web:80"]


async def test_a_name_whose_options_change_while_it_cannot_be_resolved_keeps_its_servers() -> None:
    async with running("dns:web:80", web=("10.0.0.1",)) as scene:
        scene.prove()
        scene.names.addresses = {}
        scene.replace("dns:web:80,weight=5")
        assert scene.servers() == {"10.0.0.1:80": 1}


async def test_a_service_is_found_too() -> None:
    async with running("a:1", service=("10.0.0.7",)) as scene:
        scene.prove()
        scene.replace("a:1", "dns+srv:service,maxconn=5")
        assert list(scene.servers()) == ["a:1", "10.0.0.7:80"]


async def test_a_server_that_another_source_names_from_now_on_is_there_all_the_time(tmp_path: Path) -> None:
    (tmp_path / "servers").write_text("a:1,weight=4\n")
    async with running("a:1") as scene:
        scene.prove()
        (server,) = scene.upstream
        scene.replace(f"file:{tmp_path / 'servers'}")
        assert list(scene.upstream) == [server]
        assert (server.weight, server.health.state.proven) == (4, True)


async def test_until_a_new_name_is_resolved_and_its_servers_are_up_the_old_ones_go_on() -> None:
    async with running("a:1") as scene:
        scene.prove()
        scene.replace("dns:web:80")
        assert scene.servers() == {"a:1": 1}


async def test_without_any_backend_nothing_goes_on() -> None:
    async with running("a:1") as scene:
        scene.prove()
        scene.replace()
        assert scene.servers() == {}


async def test_an_answer_that_comes_after_its_name_is_gone_names_nobody() -> None:
    async with running("a:1", "dns:web:80") as scene:
        waiting: Deferred[tuple[str, ...]] = Deferred()

        async def resolve(name: str) -> tuple[str, ...]:
            return await waiting

        scene.names.resolve = resolve  # type: ignore[method-assign]
        scene.replace("a:1", "dns:other:80")
        scene.replace("a:1")
        waiting.callback(("10.0.0.1",))
        assert scene.servers() == {"a:1": 1}


async def test_names_are_asked_for_as_often_as_is_said() -> None:
    async with running("dns:web:80", web=("10.0.0.1",)) as scene:
        from twisted.internet import reactor
        from twisted.internet.task import deferLater

        scene.sources.set_interval(0.01)
        while len(scene.names.asked) < 4:
            await deferLater(reactor, 0.01)
        scene.replace("dns:web:80", "dns:other:80")
        asked = scene.names.asked.count("web")
        while scene.names.asked.count("web") < asked + 3:
            await deferLater(reactor, 0.01)


def test_files_that_are_known_are_not_read_again(tmp_path: Path) -> None:
    file = tmp_path / "servers"
    backends = [Backend.parse(f"file:{file}"), Backend.parse("a:1")]
    assert read_files(backends, backends) == {}
    with pytest.raises(ConfigError, match="cannot read"):
        read_files(backends)
    file.write_text("b:1")
    assert [str(spec) for spec in read_files(backends, ())[file].specs] == ["b:1"]
