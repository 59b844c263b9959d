"""What the lab tells its user, and how it ends."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.logger import LogEvent, eventAsText, globalLogPublisher

from scalability.config import Address, ServerOptions
from scalability.lab.config import LabOptions
from scalability.lab.exit_status import ExitStatus
from scalability.lab.plan import ChildPlan, LabPlan
from scalability.lab.service import Lab, children_environment, on_second_signal, preflight
from scalability.testing.fake_processes import FakeProcess, ProcessClock


class StoppableClock(ProcessClock):
    """Also the IReactorCore that a lab ends by."""

    stopped = False

    def callWhenRunning(self, run: Callable[[], None]) -> None:  # noqa: N802 - Twisted's name
        run()

    def stop(self) -> None:
        self.stopped = True


def plan(directory: str = ".", *, port: int = 8000) -> LabPlan:
    def child(name: str, component: str, number: int) -> ChildPlan:
        options = ServerOptions(listen=Address("127.0.0.1", number), admin=Address("127.0.0.1", number + 10_000))
        return ChildPlan(name, component, f"scalelab-{component}", options, (), None)

    return LabPlan(
        LabOptions(data_dir=directory), (child("cache", "cache", 5004), child("gateway-1", "gateway", 5000), child("lb", "lb", port))
    )


class Ran:
    """A lab of three fake children."""

    def __init__(self, port: int = 8000) -> None:
        self.reactor = StoppableClock()
        self.complaints: list[str] = []
        self.answers: dict[str, str | None] = {"cache": "no", "gateway-1": "no", "lb": "no healthy backend"}
        self.hurries: list[Callable[[], None]] = []
        self.exit_status = ExitStatus(lambda end: None)
        self.lab = Lab(
            self.reactor,
            plan(port=port),
            environ={},
            ask=self.ask,
            exit_status=self.exit_status,
            hurry_signals=self.hurries.append,
            complain=self.complaints.append,
        )
        self.lab.startService()

    def ask(self, name: str) -> Deferred[str | None]:
        return succeed(self.answers[name])

    def all_ready(self) -> None:
        self.answers = dict.fromkeys(self.answers)
        self.reactor.advance(0.1)

    def child(self, name: str) -> FakeProcess:
        protocol: Any = self.lab.supervisor.protocols[name]
        found: FakeProcess = protocol.transport
        return found


@pytest.fixture
def log() -> Iterator[list[LogEvent]]:
    events: list[LogEvent] = []
    observe: Any = events.append
    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)


def texts(events: list[LogEvent]) -> list[str]:
    return [eventAsText(event, includeTimestamp=False) for event in events if event.get("log_system") == "lab"]


def test_once_everything_is_ready_the_lab_says_what_to_try(log: list[LogEvent]) -> None:
    ran = Ran()
    ran.reactor.advance(0.1)
    assert ran.lab.why_not_ready() == "cache: no; gateway-1: no; lb: no healthy backend"
    assert not ran.lab.announced
    ran.all_ready()
    assert ran.lab.why_not_ready() is None
    tour = texts(log)[-1]
    assert "everything is ready after 0.2 s" in tour
    assert "curl -s http://127.0.0.1:8000/data" in tour
    assert "curl -s http://127.0.0.1:5000/metrics" in tour
    assert '{"task": "report"}' in tour
    assert "python3 tools/loadtest.py\n" in tour
    ran.reactor.advance(120)
    assert not ran.reactor.stopped


def test_on_other_ports_the_load_test_is_told_where(log: list[LogEvent]) -> None:
    Ran(port=6000).all_ready()
    assert "python3 tools/loadtest.py http://127.0.0.1:6000/data\n" in texts(log)[-1]


def test_a_child_that_cannot_start_ends_the_lab_with_one_line_and_a_failure() -> None:
    ran = Ran()
    ran.child("cache").protocol.childDataReceived(2, b"scalelab-cache: cannot listen\n")
    ran.child("cache").end(status=1)
    assert ran.complaints == ["cache ended with status 1 before it was ready; its last words: scalelab-cache: cannot listen"]
    assert ran.reactor.stopped
    assert ran.exit_status.status == 1
    ran.child("lb").end(status=1)
    assert len(ran.complaints) == 1
    ran.all_ready()
    assert not ran.lab.announced


def test_a_lab_that_is_not_ready_in_time_ends_and_says_who_was_late() -> None:
    ran = Ran()
    ran.answers["cache"] = None
    ran.reactor.pump([0.5] * 121)
    assert ran.complaints == ["not ready after 60 s: gateway-1: no; lb: no healthy backend"]
    assert ran.exit_status.status == 1


def test_a_restarted_child_is_reported_when_it_is_ready_again(log: list[LogEvent]) -> None:
    ran = Ran()
    ran.all_ready()
    ran.reactor.advance(10)
    ran.answers["lb"] = "it does not listen yet"
    ran.child("lb").end(signal=9)
    assert ran.lab.why_not_ready() == "lb: it is being restarted"
    ran.reactor.advance(0.1)
    ran.answers["lb"] = None
    ran.reactor.advance(0.5)
    assert ran.lab.why_not_ready() is None
    assert texts(log)[-1] == "[lab] lb is ready again, 0.5 s after its start"
    assert len([text for text in texts(log) if "everything is ready" in text]) == 1


def test_a_child_that_is_given_up_later_stays_down_and_the_others_go_on(log: list[LogEvent]) -> None:
    ran = Ran()
    ran.all_ready()
    ran.answers["cache"] = "it does not listen yet"
    for _ in range(10):
        ran.child("cache").end(status=3)
        ran.reactor.advance(30)
    assert "cache ended with status 3, 10 times in a row" in texts(log)[-1]
    assert "stays down" in texts(log)[-1]
    assert not ran.reactor.stopped
    assert ran.complaints == []
    assert ran.lab.why_not_ready() == "cache: it was given up"
    ran.reactor.advance(1)
    assert ran.exit_status.status == 0


def test_stopping_waits_for_every_child_and_leaves_nothing_in_the_reactor() -> None:
    ran = Ran()
    stopped = ran.lab.stopService()
    for name in ("lb", "gateway-1", "cache"):
        assert not stopped.called
        assert ran.child(name).signals == ["TERM"]
        ran.child(name).end(signal=15)
    assert stopped.called
    assert ran.reactor.getDelayedCalls() == []


def test_a_second_signal_is_a_hurry() -> None:
    ran = Ran()
    ran.lab.stopService()
    [hurry] = ran.hurries
    hurry()
    assert [ran.child(name).signals for name in ("cache", "gateway-1", "lb")] == [["TERM"]] * 3
    ran.reactor.advance(1)
    assert ran.child("cache").signals == ["TERM", "KILL"]
    for name in ("cache", "gateway-1", "lb"):
        ran.child(name).end(signal=9)


def test_a_lab_that_never_started_stops() -> None:
    ran = Ran()
    ran.lab.running = 0
    ran.lab.stopService()
    assert ran.hurries == []


def test_signals_reach_the_reactor_as_a_call() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    calls: list[Callable[[], None]] = []

    class Reactor:
        callFromThread = calls.append  # noqa: N815 - Twisted's name

    def hurry() -> None: ...

    try:
        on_second_signal(Reactor)(hurry)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert calls == [hurry, hurry]


def test_the_data_folder_is_made(tmp_path: Path) -> None:
    preflight(LabPlan(LabOptions(data_dir=str(tmp_path / "a" / "b")), ()))
    assert (tmp_path / "a" / "b").is_dir()


def test_a_data_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match=r"scalelab: --data-dir: cannot make .*/file/x: Not a directory"):
        preflight(LabPlan(LabOptions(data_dir=str(tmp_path / "file" / "x")), ()))


def test_a_data_folder_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(SystemExit, match="scalelab: --data-dir: cannot write in"):
        preflight(LabPlan(LabOptions(data_dir=str(tmp_path)), ()))


def test_a_taken_port_is_one_line_that_names_it(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = other.getsockname()[1]
        with pytest.raises(SystemExit, match=rf"scalelab: cannot listen on 127.0.0.1:{port} for lb: Address already in use"):
            preflight(plan(str(tmp_path), port=port))


def test_children_find_the_package_that_the_lab_was_started_from() -> None:
    first = children_environment({"A": "b"})
    assert first["A"] == "b"
    assert os.path.isdir(os.path.join(first["PYTHONPATH"], "scalability"))
    assert children_environment(first) == first
    more = children_environment({"PYTHONPATH": "/somewhere"})["PYTHONPATH"].split(os.pathsep)
    assert more == [first["PYTHONPATH"], "/somewhere"]
