"""The parent of the workers: keeps them running, tells them of the servers, adds up what they counted. Processes are played by the test."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred

from scalability.balancer.config import BalancerOptions
from scalability.balancer.traffic import Connections
from scalability.balancer.workers.collecting import DEADLINE_S
from scalability.balancer.workers.messages import (
    AskHealth,
    Certificates,
    Changed,
    Collect,
    Health,
    Line,
    Refused,
    Servers,
    Setup,
    Why,
    WhyAnswer,
)
from scalability.balancer.workers.parent import KILL_AFTER_S, LONGEST_DELAY_S, QUICK_S, State, Workers
from scalability.config import CertificatePath
from scalability.lifecycle import DeadlineWheel
from scalability.net.certificates import CertificateStore
from scalability.testing.certificates import Authority
from scalability.testing.memory import MemoryNetwork
from scalability.testing.played_workers import SERVER, PlayedWorkers
from scalability.upstream.health import State as ServerIs
from scalability.upstream.mirror import ServerState
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec


class House:
    """A parent with workers of the test's."""

    def __init__(self, count: int = 2, certificates: Any = None) -> None:
        self.network = MemoryNetwork()
        self.processes = PlayedWorkers()
        self.started = self.processes.started
        options = BalancerOptions(workers=count, grace_s=30)
        self.upstream = Upstream(RoundRobin, Connections(self.network, options, DeadlineWheel(self.network)))
        self.upstream.name_servers("x", [ServerSpec.parse(SERVER)], trusted=True)
        start = self.processes.start
        self.workers = Workers(self.network, options, [], self.upstream, via="lb", start=start, certificates=certificates)
        self.workers.privilegedStartService()
        self.workers.startService()

    def serving(self) -> "House":
        for worker in self.started:
            worker.serve()
            worker.taken()
        return self

    def collected(self) -> list[None]:
        fired: list[None] = []
        Deferred.fromCoroutine(self.workers.collect()).addCallback(fired.append)
        return fired

    def values(self) -> dict[str, dict[tuple[str, ...], Any]]:
        return {metric.name: {reading.labels: reading.value for reading in metric.read()} for metric in self.workers.metrics}


def test_each_worker_is_told_first_who_it_is_and_then_of_the_servers() -> None:
    house = House()
    for index, worker in enumerate(house.started):
        setup, servers = worker.taken()
        assert isinstance(setup, Setup)
        assert (setup.index, setup.via, setup.options["workers"]) == (index, "lb", 2)
        assert servers == Servers([ServerState(SERVER, ServerIs.UNCHECKED)])


def test_workers_serve_the_certificates_that_the_parent_has_read(tmp_path: Path) -> None:
    authority = Authority()
    file = authority.write(tmp_path / "a.pem", "a.example")
    store = CertificateStore([CertificatePath(file)])
    house = House(certificates=store)
    (pem,) = [certificate.pem for certificate in store.certificates]
    for worker in house.started:
        setup, _ = worker.taken()
        assert setup.certificates == [pem]
    authority.write(file, "b.example", "c.example")
    store.adopt(store.changed())
    (changed,) = [certificate.pem for certificate in store.certificates]
    assert changed != pem
    assert [worker.taken() for worker in house.started] == [[Certificates([changed])]] * 2
    file.write_bytes(b"half")
    store.adopt(store.changed())
    house.started[0].end()
    house.network.advance(1)
    setup, _ = house.started[2].taken()
    assert setup.certificates == [changed], "one that begins while the file is broken serves what the others do"
    assert house.started[1].taken() == []


def test_it_is_ready_when_a_worker_serves_and_a_server_is_up() -> None:
    house = House()
    assert house.workers.not_ready() == "no worker accepts connections"
    house.started[0].serve()
    assert house.workers.not_ready() == "no server is healthy"
    (server,) = house.upstream
    house.upstream.judge(server, True, "checked")
    assert house.workers.not_ready() is None
    assert house.workers.serving == 1


def test_changes_among_the_servers_are_told_once_a_turn() -> None:
    house = House().serving()
    house.upstream.name_servers("y", [ServerSpec.parse("192.0.2.2:80")], trusted=True)
    house.upstream.name_servers("y", [ServerSpec.parse("192.0.2.3:80")], trusted=True)
    house.network.advance(0)
    for worker in house.started:
        assert worker.taken() == [Servers([ServerState(SERVER, ServerIs.UNCHECKED), ServerState("192.0.2.3:80", ServerIs.UNCHECKED)])]


def test_a_slow_worker_gets_only_the_newest_states() -> None:
    house = House().serving()
    slow, quick = house.started
    slow.full = True
    for port in (81, 82, 83):
        house.upstream.name_servers("y", [ServerSpec.parse(f"192.0.2.2:{port}")], trusted=True)
        house.network.advance(0)
    assert slow.taken() == []
    assert len(quick.taken()) == 3
    slow.full = False
    slow.owner.ready()
    (servers,) = slow.taken()
    assert [state.spec for state in servers.servers] == [SERVER, "192.0.2.2:83"]
    slow.owner.ready()
    assert slow.taken() == []


def test_refused_connections_count_as_failed_checks() -> None:
    house = House().serving()
    (server,) = house.upstream
    house.upstream.judge(server, True, "checked")
    house.started[0].owner.received(Refused({SERVER: 2, "192.0.2.77:1": 5}))
    assert server.health.state.value == "falling"
    house.started[1].owner.received(Refused({SERVER: 10**9}))
    assert server.health.state.value == "down"
    house.network.advance(0)
    assert house.started[0].taken()[-1] == Servers([ServerState(SERVER, ServerIs.DOWN, unreachable=True)])


def test_a_killed_worker_is_started_again_at_once_if_it_had_lived_and_then_later_and_later() -> None:
    house = House(2).serving()
    house.network.advance(QUICK_S)
    delays = []
    for _ in range(10):
        house.started[-1].end()
        waited_s = 0.0
        before = len(house.started)
        while len(house.started) == before:
            (call,) = [call for call in house.network.getDelayedCalls() if call.active()]
            step_s = call.getTime() - house.network.seconds()
            waited_s += step_s
            house.network.advance(step_s)
        delays.append(round(waited_s, 3))
    assert delays == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, LONGEST_DELAY_S, LONGEST_DELAY_S]
    assert [worker.restarts for worker in house.workers.workers] == [0, 10]
    assert house.started[0].signals == []


def test_a_process_that_cannot_be_started_is_tried_again() -> None:
    house = House(2).serving()
    house.network.advance(QUICK_S)
    house.processes.refuse = True
    house.started[1].end()
    house.network.advance(0)
    house.network.advance(0.1)
    assert house.workers.workers[1].state is State.ENDED
    house.processes.refuse = False
    house.network.advance(LONGEST_DELAY_S)
    assert len(house.started) == 3
    assert house.started[2].index == 1


def test_metrics_and_health_are_sums_of_what_the_workers_report() -> None:
    house = House().serving()
    fired = house.collected()
    for number, worker in enumerate(house.started, 1):
        assert worker.taken() == [Collect(1)]
        worker.report(1, requests=number, active=1)
    assert fired == [None]
    assert house.values() == {"sent_total": {(SERVER,): 3}, "busy": {(): 2}}
    health = house.workers.health()
    assert (health["status"], health["workers"]) == ("ok", {"serving": 2, "of": 2})
    (server,) = health["servers"]
    assert (server["name"], server["state"], server["active"], server["requests"]) == (SERVER, "unchecked", 2, 3)


def test_what_a_dead_worker_counted_stays_counted() -> None:
    house = House().serving()
    house.started[0].report(requests=5, active=1)
    house.started[1].report(requests=2)
    house.started[0].end()
    assert house.values() == {"sent_total": {(SERVER,): 7}, "busy": {(): 0}}
    assert house.workers.health()["servers"][0]["requests"] == 7
    house.network.advance(1)
    house.started[2].serve()
    house.started[2].report(requests=1)
    assert house.values()["sent_total"] == {(SERVER,): 8}
    assert house.workers.health()["servers"][0]["requests"] == 8


def test_a_server_that_a_worker_lets_go_is_shown_until_its_last_request_and_then_forgotten() -> None:
    house = House().serving()
    house.upstream.name_servers("x", [ServerSpec.parse("192.0.2.9:80")], trusted=True)
    for worker in house.started:
        worker.report(requests=4, active=1, leaving=True)
    assert {(s["name"], s["state"], s["requests"]) for s in house.workers.health()["servers"]} == {
        ("192.0.2.9:80", "unchecked", 0),
        (SERVER, "leaving", 8),
    }
    house.started[0].end()
    house.started[1].report(name="192.0.2.9:80")
    house.network.advance(1)
    fired = house.collected()
    house.started[1].report(1, name="192.0.2.9:80")
    assert fired == [None]
    assert [s["name"] for s in house.workers.health()["servers"]] == ["192.0.2.9:80"]
    assert house.values()["sent_total"] == {("192.0.2.9:80",): 0}


def test_a_worker_that_hangs_holds_nobody_up_for_long_and_keeps_its_last_numbers() -> None:
    house = House().serving()
    house.started[1].report(requests=9)
    fired = house.collected()
    house.started[0].report(1, requests=1)
    assert fired == []
    house.network.advance(DEADLINE_S)
    assert fired == [None]
    assert house.values()["sent_total"] == {(SERVER,): 10}


def test_a_worker_that_dies_during_a_round_is_not_waited_for() -> None:
    house = House().serving()
    fired = house.collected()
    house.started[0].report(1)
    house.started[1].end()
    assert fired == [None]


def test_whoever_is_asked_for_health_answers_for_all() -> None:
    house = House().serving()
    house.started[0].owner.received(AskHealth())
    for worker in house.started:
        worker.report(1, requests=2)
    told = house.started[0].taken()
    assert told[0] == Collect(1)
    assert isinstance(told[1], Health)
    assert msgspec.json.decode(told[1].body)["servers"][0]["requests"] == 4
    assert house.started[1].taken() == [Collect(1)]


def test_stopping_tells_every_worker_and_waits_for_the_last() -> None:
    house = House().serving()
    stopped: list[None] = []
    for _ in range(2):
        house.workers.stopService().addCallback(stopped.append)
    assert [worker.signals for worker in house.started] == [["TERM"], ["TERM"]]
    assert house.workers.not_ready() == "it is stopping"
    assert {worker.state for worker in house.workers.workers} == {State.ENDING}
    house.started[0].end(None)
    assert stopped == []
    house.started[1].end(None)
    assert stopped == [None, None]
    assert len(house.started) == 2
    assert house.network.getDelayedCalls() == []


def test_a_worker_that_does_not_end_is_killed() -> None:
    house = House().serving()
    stopped: list[None] = []
    house.workers.stopService().addCallback(stopped.append)
    house.started[0].end(None)
    house.network.advance(30 + KILL_AFTER_S)
    assert house.started[1].signals == ["TERM", "KILL"]
    house.started[1].end(9)
    assert stopped == [None]


def test_stopping_while_a_worker_is_to_be_started_again_starts_nothing() -> None:
    house = House(2)
    house.upstream.name_servers("y", [], trusted=True)  # to be told
    for worker in house.started:
        worker.end()
    stopped: list[None] = []
    house.workers.stopService().addCallback(stopped.append)
    assert stopped == [None]
    assert house.network.getDelayedCalls() == []


def test_metrics_can_be_read_while_the_workers_finish_their_requests() -> None:
    house = House().serving()
    house.workers.stopService()
    fired = house.collected()
    for worker in house.started:
        worker.report(1, requests=3)
    assert fired == [None]
    assert house.values()["sent_total"] == {(SERVER,): 6}
    for worker in house.started:
        worker.end(None)


@pytest.mark.parametrize("level", ["info", "warn", "nonsense"])
def test_what_a_worker_logs_is_logged_under_its_number(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House().serving()
    logged: list[tuple[str, str, str]] = []

    class Log:
        def emit(self, level: Any, form: str, *, text: str, log_system: str) -> None:
            logged.append((level.name, form.format(text=text), log_system))

    monkeypatch.setattr(Workers, "log", Log())
    house.started[1].owner.received(Line(level, "something happened"))
    assert logged == [("info" if level == "nonsense" else level, "something happened", "worker 2")]


def heard(coroutine: Any) -> list[Any]:
    fired: list[Any] = []
    Deferred.fromCoroutine(coroutine).addCallback(fired.append)
    return fired


def test_what_each_worker_does_is_asked_for_afresh_and_what_dead_ones_did_stands_apart() -> None:
    house = House().serving()
    house.network.advance(QUICK_S)
    house.started[0].report(requests=5)
    house.started[0].end()
    fired = heard(house.workers.uses())
    house.started[1].report(1, requests=2, active=1)
    (uses,) = fired
    told = [(use.worker, [(server.name, server.requests, server.active) for server in use.servers]) for use in uses]
    assert told == [(0, [(SERVER, 5, 0)]), (2, [(SERVER, 2, 1)])]


def test_every_worker_is_asked_about_a_request_and_the_one_that_knows_is_heard() -> None:
    house = House().serving()
    fired = heard(house.workers.why("abc"))
    assert [worker.taken() for worker in house.started] == [[Why(1, "abc")]] * 2
    house.started[0].owner.received(WhyAnswer(1, []))
    house.started[1].owner.received(WhyAnswer(1, [{"server": SERVER}]))
    assert fired == [[{"worker": 2, "server": SERVER}]]


def test_workers_that_are_silent_or_gone_know_nothing_of_a_request() -> None:
    house = House().serving()
    fired = heard(house.workers.why("abc"))
    house.started[0].end()
    assert fired == []
    house.network.advance(1.0)
    assert fired == [[]]


def test_other_options_are_told_once_to_workers_that_run_and_to_later_ones_at_their_start() -> None:
    house = House().serving()
    slow, quick = house.started
    slow.full = True
    for grace_s in (5.0, 6.0):
        house.workers.configure(BalancerOptions(workers=2, grace_s=grace_s), tell=True)
    told = [message.options["grace"] for message in quick.taken() if isinstance(message, Changed)]
    assert told == [5.0, 6.0]
    assert slow.taken() == []
    slow.full = False
    slow.owner.ready()
    (changed,) = slow.taken()
    assert changed.options["grace"] == 6.0
    slow.owner.ready()
    assert slow.taken() == []
    house.workers.configure(BalancerOptions(workers=2, grace_s=7.0), tell=False)
    assert quick.taken() == []
    house.network.advance(QUICK_S)
    quick.end()
    house.network.advance(0)
    assert house.started[-1].taken()[0].options["grace"] == 7.0
