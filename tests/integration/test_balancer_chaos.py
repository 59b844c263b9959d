"""Servers that die, hang, crawl, fail, flap, restart, come and go under load: no GET or PUT is answered wrongly, and none not at all.

The first five faults are met by two workers too, with PUTs whose bodies have to be sent again.

The load is open (``testing.steady_load``): a server that hangs gets its share all the same. Every answer is compared to the last byte.
"""

import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from twisted.internet.threads import deferToThread

from scalability.testing.client import HTTPClient
from scalability.testing.name_server import name_server
from scalability.testing.processes import Process
from scalability.testing.steady_load import SteadyLoad

Start = Callable[..., Process]

FLAGS = ("--health-interval", "0.25", "--shed-lag", "0")
"""A server that hangs is down after its third check, a second at most after it began to. What a machine is too slow for, with all
that runs beside this on it, is not to be answered 503 here.
"""
LONG_S = 4.0
"""What no answer takes, by far, that waits for no server longer than until it is given up."""


class Backend:
    """A faulty backend, a process; ``name`` as the balancer has it."""

    def __init__(self, run: Start, http: HTTPClient, *faults: str, host: str = "127.0.0.1", port: int = 0) -> None:
        self.process = run(sys.executable, "-m", "scalability.testing.faulty_backend", f"{host}:{port}", *faults)
        self._host = host
        self._http = http

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        return self.process.wait_listening()

    @property
    def name(self) -> str:
        return f"{self._host}:{self.port}"

    def behave(self, of_requests: str, of_checks: str = "good") -> None:
        """Treat requests and checks so from now on."""
        assert self._http.put(f"http://{self.name}", f"/behave/{of_requests}/{of_checks}").status == 204

    def die(self) -> None:
        """kill -9."""
        self.process.kill(signal.SIGKILL)
        self.process.wait()


class Balancer:
    """The balancer, and what it says of its servers."""

    def __init__(self, start: Start, http: HTTPClient, backends: list[str], *flags: str) -> None:
        named = [flag for backend in backends for flag in ("--backend", backend)]
        self.process = start("scalelab-lb", *named, *FLAGS, *flags)
        self.port = self.process.wait_listening()
        self._http = http

    def servers(self, what: str) -> dict[str, Any]:
        """``state``, ``requests``, ... of each, by name."""
        return {server["name"]: server[what] for server in self._http.get(self.port, "/health").json()["servers"]}

    def until(self, states: dict[str, str]) -> None:
        """Wait until these servers, which may be some of all, are in these states."""
        until(lambda: states.items() <= self.servers("state").items(), lambda: f"{self.servers('state')}, not {states}")

    def until_only(self, names: list[str]) -> None:
        """Wait until there are these servers and no others, and all are up."""
        until(lambda: self.servers("state") == dict.fromkeys(names, "up"), lambda: f"{self.servers('state')}, not {names}")

    def until_asked(self, name: str, times: int = 10) -> None:
        """Wait until this server was sent so many more requests."""
        wanted = self.servers("requests")[name] + times
        until(lambda: self.servers("requests")[name] >= wanted, lambda: f"{self.servers('requests')}, not {wanted} to {name}")


def until(what: Callable[[], bool], found: Callable[[], object] = lambda: "", *, timeout_s: float = 15.0) -> None:
    end = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < end, f"not within {timeout_s} s: {found()}"
        time.sleep(0.02)


@contextmanager
def no_failed_answer(balancer: Balancer, **more: Any) -> Iterator[SteadyLoad]:
    """A load runs in this block; at its end all answers were right, and came in time."""
    with SteadyLoad(balancer.port, **more) as load:
        load.more(20)
        yield load
        load.more(20)
    assert load.failed == 0, f"{load}\n{balancer.process.output}"
    assert load.slowest_s < LONG_S, f"{load}\n{balancer.process.output}"
    assert "Traceback" not in balancer.process.output


@pytest.fixture
def backend(run: Start, http: HTTPClient) -> Callable[..., Backend]:
    return lambda *faults, **where: Backend(run, http, *faults, **where)


@pytest.fixture
def balancer(start: Start, http: HTTPClient) -> Callable[..., Balancer]:
    """``balancer(names, *flags)``: one that has seen all of them pass a check."""

    def begin(names: list[str], *flags: str) -> Balancer:
        made = Balancer(start, http, names, *flags)
        made.until_only(names)
        for number in (1, 2) if "--workers" in flags else ():
            made.process.wait_for(f"worker {number} serves", timeout_s=40)
        return made

    return begin


Behind = Callable[..., Backend]
Front = Callable[..., Balancer]

PUT = {"upload": b"x" * 3000}
TWO = ("--workers", "2")
kinds = pytest.mark.parametrize(("flags", "more"), [((), {}), (TWO, PUT)], ids=["one process, GET", "two workers, PUT"])


@pytest.mark.parametrize(
    ("flags", "more"),
    [((), {}), (("--algorithm", "peak_ewma"), {}), ((*TWO, "--algorithm", "peak_ewma"), PUT)],
    ids=["round_robin", "peak_ewma", "two workers, PUT"],
)
def test_a_killed_server_costs_no_answer_and_serves_again_when_it_is_back(
    backend: Behind, balancer: Front, flags: tuple[str, ...], more: dict[str, Any]
) -> None:
    victim, *others = [backend("slow:0.02") for _ in range(3)]
    lb = balancer([victim.name, *(other.name for other in others)], *flags)
    with no_failed_answer(lb, **more) as load:
        victim.die()
        lb.until({victim.name: "down"})
        load.more(50)
        backend("slow:0.02", port=victim.port)
        lb.until({victim.name: "up"})
        lb.until_asked(victim.name)


@kinds
def test_what_waits_for_a_stopped_server_goes_elsewhere_at_its_third_missed_check(
    backend: Behind, balancer: Front, flags: tuple[str, ...], more: dict[str, Any]
) -> None:
    victim, *others = [backend() for _ in range(3)]
    lb = balancer([victim.name, *(other.name for other in others)], *flags)
    with no_failed_answer(lb, **more) as load:
        victim.process.kill(signal.SIGSTOP)
        try:
            until(lambda: load.waiting > 10)
            lb.until({victim.name: "down"})
            until(lambda: load.waiting < 10)
            load.more(50)
        finally:
            victim.process.kill(signal.SIGCONT)
        lb.until({victim.name: "up"})


def test_what_waits_for_stopped_servers_goes_to_the_last_one_though_that_is_a_panic(backend: Behind, balancer: Front) -> None:
    behind = [backend() for _ in range(3)]
    lb = balancer([each.name for each in behind])
    # so few requests that no breaker keeps them from the stopped ones
    with no_failed_answer(lb, rate_per_s=20) as load:
        for victim in behind[:2]:
            victim.process.kill(signal.SIGSTOP)
        try:
            lb.process.wait_for("panic: only 1 of 3 servers are healthy")
            load.more(40)
        finally:
            for victim in behind[:2]:
                victim.process.kill(signal.SIGCONT)


@kinds
def test_a_server_that_accepts_and_never_answers_costs_no_answer(
    backend: Behind, balancer: Front, flags: tuple[str, ...], more: dict[str, Any]
) -> None:
    mute, *others = [backend() for _ in range(3)]
    lb = balancer([mute.name, *(other.name for other in others)], *flags)
    with no_failed_answer(lb, **more) as load:
        mute.behave("mute", "mute")
        until(lambda: load.waiting > 10)
        lb.until({mute.name: "down"})
        until(lambda: load.waiting < 10)
        load.more(50)


def test_a_server_that_answers_its_checks_and_nothing_else_costs_no_answer(backend: Behind, balancer: Front) -> None:
    mute, *others = [backend() for _ in range(3)]
    # nothing but a request's own deadline can tell
    lb = balancer([mute.name, *(other.name for other in others)], "--answer-timeout", "0.5", "--retry-on", "answer_timeout")
    with no_failed_answer(lb) as load:
        mute.behave("mute")
        lb.until_asked(mute.name)
        load.more(300)


def test_a_port_that_completes_no_connection_costs_no_answer(backend: Behind, start: Start, http: HTTPClient) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        with socket.create_connection(deaf.getsockname()):  # there is room for one; what comes after it the kernel drops
            name = f"127.0.0.1:{deaf.getsockname()[1]}"
            lb = Balancer(start, http, [name, backend().name, backend().name], "--connect-timeout", "0.5")
            with no_failed_answer(lb) as load:
                lb.until({name: "waiting"})
                load.more(200)


def test_a_slow_server_costs_no_answer_and_what_waits_for_one_too_slow_for_its_checks_goes_elsewhere(
    backend: Behind, balancer: Front
) -> None:
    slow, *others = [backend() for _ in range(3)]
    lb = balancer([slow.name, *(other.name for other in others)])
    with no_failed_answer(lb) as load:
        slow.behave("slow:0.4")
        lb.until_asked(slow.name, 30)
        until(lambda: load.slowest_s > 0.3)
        slow.behave("slow:30", "slow:30")
        lb.until({slow.name: "down"})
        until(lambda: load.waiting < 10)
        load.more(50)


def test_a_server_that_answers_with_a_gateways_error_costs_no_answer(backend: Behind, balancer: Front) -> None:
    failing, *others = [backend() for _ in range(3)]
    # else it is out after five of them
    flags = ("--eject-failures", "0", "--breaker-percent", "0")
    lb = balancer([failing.name, *(other.name for other in others)], *flags)
    with no_failed_answer(lb) as load:
        for status in (502, 503, 504):
            failing.behave(f"status:{status}")
            lb.until_asked(failing.name)
        load.more(50)


def test_a_server_that_answers_with_a_gateways_error_is_ejected_and_costs_no_answer(backend: Behind, balancer: Front) -> None:
    failing, *others = [backend() for _ in range(3)]
    lb = balancer([failing.name, *(other.name for other in others)], *TWO)
    with no_failed_answer(lb, **PUT) as load:
        failing.behave("status:503")
        lb.process.wait_for(f"server {failing.name} is ejected")
        load.more(50)


def test_a_server_that_answers_500_costs_no_answer_where_that_is_to_be_retried(backend: Behind, balancer: Front) -> None:
    failing, *others = [backend() for _ in range(3)]
    lb = balancer([failing.name, *(other.name for other in others)], "--retry-on", "server_error")
    with no_failed_answer(lb) as load:
        failing.behave("status:500")
        lb.until_asked(failing.name, 5)
        load.more(250)


@kinds
def test_servers_that_break_their_answers_cost_none(backend: Behind, balancer: Front, flags: tuple[str, ...], more: dict[str, Any]) -> None:
    closing, babbling, *others = [backend() for _ in range(4)]
    lb = balancer([closing.name, babbling.name, *(other.name for other in others)], *flags)
    with no_failed_answer(lb, **more) as load:
        closing.behave("closes")
        babbling.behave("babbles")
        lb.until_asked(closing.name, 5)
        closing.behave("cuts")
        load.more(250)


def test_a_server_that_dies_and_returns_every_half_second_costs_no_answer(backend: Behind, balancer: Front) -> None:
    flapping, *others = [backend("slow:0.02") for _ in range(3)]
    port = flapping.port
    lb = balancer([flapping.name, *(other.name for other in others)])
    with no_failed_answer(lb):
        for _ in range(4):
            flapping.die()
            time.sleep(0.25)
            flapping = backend("slow:0.02", port=port)
            flapping.process.wait_listening()
            time.sleep(0.25)


def test_a_rolling_restart_of_every_server_costs_no_answer(start: Start, balancer: Front, http: HTTPClient) -> None:
    def service(port: int = 0) -> Process:
        return start("scalelab-microservice", "--service-time", "0.02", listen=f"127.0.0.1:{port}")

    services = [service() for _ in range(3)]
    ports = [process.wait_listening() for process in services]
    lb = balancer([f"127.0.0.1:{port}" for port in ports])
    with no_failed_answer(lb, path=b"/process", body=http.get(ports[0], "/process").body):
        for process, port in zip(services, ports, strict=True):
            process.stop()
            service(port).wait_listening()
            lb.until_only([f"127.0.0.1:{port}" for port in ports])


async def test_scaling_from_two_to_six_and_back_through_dns_costs_no_answer(backend: Behind, start: Start, http: HTTPClient) -> None:
    first = backend("slow:0.02", host="127.0.0.1")
    port = await deferToThread(lambda: first.port)
    hosts = [f"127.0.0.{number}" for number in range(1, 7)]
    names = [f"{host}:{port}" for host in hosts]
    second, *later = [backend("slow:0.02", host=host, port=port) for host in hosts[1:]]
    async with name_server() as (zone, zone_port):
        zone.addresses = hosts[:2]
        flags = ("--resolver", f"127.0.0.1:{zone_port}", "--resolve-interval", "0.3")
        lb = await deferToThread(lambda: Balancer(start, http, [f"dns:gateway:{port}"], *flags))
        await deferToThread(lb.until_only, names[:2])

        def scale(load: SteadyLoad) -> None:
            zone.addresses = hosts
            lb.until_only(names)
            for name in names:
                lb.until_asked(name)
            zone.addresses = hosts[:2]
            for leaving in later:
                leaving.process.kill(signal.SIGTERM)  # whoever scales down does not wait for others to hear of it
            lb.until_only(names[:2])
            load.more(50)

        def run() -> None:
            with no_failed_answer(lb) as load:
                scale(load)

        await deferToThread(run)
        assert not second.process.ended
