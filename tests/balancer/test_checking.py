"""Who decides about the servers: the parts that the configuration asks for, and how they check."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace
from twisted.application.service import IService

from scalability.balancer.change import Change
from scalability.balancer.checking import Checking
from scalability.balancer.config import BalancerOptions
from scalability.balancer.traffic import Connections
from scalability.balancer.values import CheckField, PathOfURL
from scalability.lifecycle import DeadlineWheel
from scalability.testing.memory import MemoryNetwork
from scalability.upstream.discovery import Backend, DNSDiscovery, FileDiscovery
from scalability.upstream.expected import BodyPattern, Statuses
from scalability.upstream.handover import Handover
from scalability.upstream.probe import HealthChecks
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream
from scalability.upstream.sources import Sources, read_files


class Scene:
    """The servers of a configuration, and the network that they are checked through."""

    def __init__(self, *backends: str, **more: Any) -> None:
        self.network = MemoryNetwork()
        options = BalancerOptions(backend=tuple(map(Backend.parse, backends)), **more)
        wheel = DeadlineWheel(self.network)
        self.upstream = Upstream(RoundRobin, Connections(self.network, options, wheel))
        self.options = options
        self.checking = Checking(self.network, options, wheel, self.upstream, random=lambda: 0.5)
        self.services: list[IService] = self.checking.parts

    def change(self, **more: Any) -> None:
        old, self.options = self.options, replace(self.options, **more)
        self.checking.configure(Change.between(old, self.options, read_files(self.options.backend, old.backend)))

    def until_checked(self) -> Any:
        """The connection of the first server's check."""
        self.services[0].startService()
        self.network.advance(0.2)
        first = next(iter(self.upstream)).address.host
        self.network.attempts.sort(key=lambda attempt: attempt.host != first)
        return self.network.accept()


@pytest.fixture
def scene() -> Any:
    scenes: list[Scene] = []

    def make(*backends: str, **more: Any) -> Scene:
        scenes.append(Scene(*backends, **more))
        return scenes[-1]

    yield make
    for made in scenes:
        made.services[0].stopService()


Make = Callable[..., Scene]


def test_configured_servers_are_named_and_checked_and_names_and_files_asked_for(scene: Make, tmp_path: Path) -> None:
    (tmp_path / "servers").write_text("192.0.2.9:82,backup\n")
    found = scene("192.0.2.8:81", "dns:gateway:5000", "dns+srv:other", f"file:{tmp_path / 'servers'}")
    assert [type(part) for part in found.services] == [HealthChecks, Sources]
    assert [type(part) for part in cast(Sources, found.services[1])] == [Handover, DNSDiscovery, DNSDiscovery, FileDiscovery]
    assert [server.name for server in found.upstream] == ["192.0.2.8:81", "192.0.2.9:82"]


@pytest.mark.parametrize(("initial", "usable"), [("up", True), ("mandatory", False)])
def test_servers_take_traffic_before_their_first_check_unless_that_is_mandatory(
    scene: Make, tmp_path: Path, initial: str, usable: bool
) -> None:
    (tmp_path / "servers").write_text("192.0.2.9:82\n")
    found = scene("192.0.2.8:81", f"file:{tmp_path / 'servers'}", health_initial=initial)
    assert [server.health.state.usable for server in found.upstream] == [usable, usable]
    server = found.until_checked()
    server.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert next(iter(found.upstream)).health.state.usable


def test_a_file_that_is_gone_since_it_was_looked_at_ends_the_start_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="scalelab-lb: --backend: cannot read"):
        Scene(f"file:{tmp_path / 'none'}")


def test_a_check_asks_as_the_configuration_says(scene: Make) -> None:
    found = scene(
        "192.0.2.8:81",
        health_method="OPTIONS",
        health_path=PathOfURL("/live"),
        health_header=(CheckField("Host", "shop.example"),),
        health_status=Statuses.parse("204"),
    )
    server = found.until_checked()
    assert server.taken().startswith(b"OPTIONS /live HTTP/1.1\r\n")
    server.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    (checked,) = found.upstream
    assert checked.last_check == "the check was answered 200"
    assert not checked.health.state.usable


def test_a_body_may_have_to_match(scene: Make) -> None:
    found = scene("192.0.2.8:81", health_body=BodyPattern.parse("fine"))
    found.until_checked().deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    (checked,) = found.upstream
    assert checked.last_check == "the check was answered 200, but 'fine' is not in its body"


def test_a_bare_connection_may_be_enough_and_introduces_itself(scene: Make) -> None:
    found = scene("192.0.2.8:81", health_mode="tcp", send_proxy="v1")
    assert found.until_checked().taken() == b"PROXY UNKNOWN\r\n"
    (checked,) = found.upstream
    assert [result.what for result in checked.history] == ["the check could connect"]


def test_a_check_has_its_own_timeout(scene: Make) -> None:
    found = scene("192.0.2.8:81", health_timeout_s=0.5)
    found.until_checked()
    found.network.pump([0.1] * 6)
    (checked,) = found.upstream
    assert checked.last_check == "no answer within 0.5 s"


def test_other_checks_begin_with_the_next_one_and_leave_what_is_known(scene: Make) -> None:
    found = scene("192.0.2.8:81")
    found.until_checked().deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    (server,) = found.upstream
    assert server.health.state.proven
    found.change(health_path=PathOfURL("/live"), health_interval_s=0.5, health_status=Statuses.parse("204"))
    assert server.health.state.proven
    found.network.pump([0.1] * 8)
    asked = found.network.accept()
    assert asked.taken().startswith(b"GET /live HTTP/1.1\r\n")
    asked.deliver(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert [result.what for result in server.history] == ["the check was answered 200", "the check was answered 204"]


def test_other_backends_are_named_found_and_checked_the_others_left_alone(scene: Make, tmp_path: Path) -> None:
    (tmp_path / "servers").write_text("192.0.2.9:82\n")
    found = scene("192.0.2.8:81")
    (kept,) = found.upstream
    found.change(backend=(Backend.parse("192.0.2.8:81,weight=2"), Backend.parse(f"file:{tmp_path / 'servers'}")))
    assert [(server.name, server.weight) for server in found.upstream] == [("192.0.2.8:81", 2), ("192.0.2.9:82", 1)]
    assert next(iter(found.upstream)) is kept
    new = list(found.upstream)[1]
    assert not new.health.state.usable


def test_names_are_asked_for_at_another_interval(scene: Make) -> None:
    found = scene("dns:gateway:5000")
    (discovery,) = [part for part in cast(Sources, found.services[1]) if isinstance(part, DNSDiscovery)]
    found.change(resolve_interval_s=7.0)
    assert discovery._interval_s == 7.0
