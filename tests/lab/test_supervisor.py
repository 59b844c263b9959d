"""The supervisor, with a clock and processes of the test's own."""

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import LogEvent, LogLevel, eventAsText, globalLogPublisher

from scalability.lab.supervisor import ChildSpec, State, Supervisor
from scalability.testing.fake_processes import FakeProcess, ProcessClock


class Watched:
    """A supervisor of children a (rank 0), b (rank 1) and c (rank 1), and what it reported."""

    def __init__(self) -> None:
        self.reactor = ProcessClock()
        self.ended: list[str] = []
        self.given_up: list[tuple[str, str]] = []
        self.supervisor = Supervisor(
            self.reactor, environ={"HOME": "/home/x"}, ended=self.ended.append, given_up=lambda *what: self.given_up.append(what)
        )
        for name, rank in (("a", 0), ("b", 1), ("c", 1)):
            self.supervisor.add(ChildSpec(name, ["/bin/" + name, "-x"], rank))

    def start(self) -> list[FakeProcess]:
        self.supervisor.startService()
        return self.reactor.spawned


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def log() -> Iterator[list[LogEvent]]:
    events: list[LogEvent] = []
    observe: Any = events.append
    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)


def texts(events: list[LogEvent]) -> list[str]:
    return [eventAsText(event, includeTimestamp=False) for event in events]


def test_children_start_in_the_order_in_which_they_were_added_with_the_environment_and_the_parent_pipe(watched: Watched) -> None:
    spawned = watched.start()
    assert [process.argv for process in spawned] == [["/bin/a", "-x"], ["/bin/b", "-x"], ["/bin/c", "-x"]]
    assert spawned[0].env == {"HOME": "/home/x", "SCALELAB_PARENT_PIPE": "1"}
    assert watched.supervisor.children["a"].state is State.STARTING


def test_what_a_child_prints_is_logged_under_its_name(watched: Watched, log: list[LogEvent]) -> None:
    a = watched.start()[0]
    a.protocol.childDataReceived(1, b"ready {to} serve\nand")
    a.protocol.childDataReceived(2, b"oops\n")
    a.end()
    assert [text for text in texts(log) if text.startswith("[a]")] == ["[a] ready {to} serve", "[a] oops", "[a] and"]


def test_a_child_that_had_lived_is_started_again_at_once(watched: Watched, log: list[LogEvent]) -> None:
    spawned = watched.start()
    watched.supervisor.mark_ready("a")
    watched.reactor.advance(6)
    spawned[0].end(signal=9)
    assert watched.ended == ["a"]
    watched.reactor.advance(0)
    assert spawned[-1].argv[0] == "/bin/a"
    assert len(spawned) == 4
    assert "[lab] a was ended by SIGKILL after 6.0 s; starting it again in 0.0 s" in texts(log)
    assert watched.supervisor.children["a"].restarts == 1


def test_a_child_that_dies_young_waits_twice_as_long_each_time_up_to_thirty_seconds(watched: Watched) -> None:
    spawned = watched.start()
    watched.supervisor.mark_ready("a")
    watched.supervisor.restart_limit = 100
    delays = []
    for _ in range(12):
        [a] = [process for process in spawned if process.argv[0] == "/bin/a" and not process.dead]
        a.end(status=1)
        delays.append(watched.supervisor.restart["a"].getTime() - watched.reactor.seconds())
        watched.reactor.advance(delays[-1])
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30, 30])


def test_a_long_life_clears_the_count_of_young_deaths(watched: Watched) -> None:
    spawned = watched.start()
    watched.supervisor.mark_ready("a")
    for lived_s in (1, 1, 1, 7, 1, 1):
        watched.reactor.advance(lived_s)
        [a] = [process for process in spawned if process.argv[0] == "/bin/a" and not process.dead]
        a.end(signal=9)
        watched.reactor.advance(watched.supervisor.restart["a"].getTime() - watched.reactor.seconds())
    assert watched.supervisor.children["a"].rapid_deaths == 2


def test_a_child_that_dies_ten_times_in_a_row_is_given_up_with_its_last_words(watched: Watched) -> None:
    spawned = watched.start()
    watched.supervisor.mark_ready("a")
    for _ in range(10):
        [a] = [process for process in spawned if process.argv[0] == "/bin/a" and not process.dead]
        a.protocol.childDataReceived(2, b"line 1\n\nline 2\nline 3\nscalelab-a: no such file\n")
        a.end(status=1)
        watched.reactor.advance(30)
    [(name, why)] = watched.given_up
    assert name == "a"
    assert why == (
        "ended with status 1, 10 times in a row, each time within 5 s of its start; "
        "its last words: line 2 | line 3 | scalelab-a: no such file"
    )
    assert len(watched.ended) == 9
    assert watched.supervisor.children["a"].state is State.GIVEN_UP
    watched.reactor.advance(3600)
    assert [process.argv[0] for process in spawned if not process.dead] == ["/bin/b", "/bin/c"]


def test_a_child_that_fails_before_it_was_ever_ready_is_given_up_at_once(watched: Watched) -> None:
    spawned = watched.start()
    spawned[2].protocol.childDataReceived(2, b"scalelab-c: --ttl: expected a number")
    spawned[2].end(status=1)
    assert watched.given_up == [("c", "ended with status 1 before it was ready; its last words: scalelab-c: --ttl: expected a number")]
    assert watched.ended == []


def test_a_child_that_someone_kills_before_it_was_ready_is_started_again(watched: Watched) -> None:
    spawned = watched.start()
    spawned[2].end(signal=9)
    watched.reactor.advance(0.1)
    assert spawned[-1].argv[0] == "/bin/c"
    assert watched.given_up == []


def test_a_process_that_cannot_be_spawned_is_given_up_when_it_never_ran(watched: Watched) -> None:
    watched.reactor.refuse = True
    watched.start()
    assert watched.given_up[0] == (
        "a",
        "could not be started ([Errno 11] no more processes) before it was ready; its last words: [Errno 11] no more processes",
    )


def test_a_restart_that_cannot_be_spawned_is_tried_again(watched: Watched) -> None:
    spawned = watched.start()
    watched.supervisor.mark_ready("a")
    watched.reactor.advance(6)
    watched.reactor.refuse = True
    spawned[0].end(signal=9)
    watched.reactor.advance(0)
    watched.reactor.refuse = False
    watched.reactor.advance(0.1)
    assert spawned[-1].argv[0] == "/bin/a"
    assert watched.given_up == []


def test_output_that_something_else_holds_open_does_not_keep_a_dead_child_alive(watched: Watched) -> None:
    spawned = watched.start()
    watched.supervisor.mark_ready("a")
    watched.reactor.advance(6)
    spawned[0].die(signal=9)
    assert watched.ended == []
    watched.reactor.advance(0.5)
    assert watched.ended == ["a"]


def test_children_stop_highest_rank_first_and_the_stop_fires_when_all_have_ended(watched: Watched) -> None:
    a, b, c = watched.start()
    stopped = watched.supervisor.stopService()
    assert (a.signals, b.signals, c.signals) == ([], ["TERM"], ["TERM"])
    b.end(signal=15)
    assert a.signals == []
    c.end()
    assert a.signals == ["TERM"]
    assert not stopped.called
    a.end()
    assert stopped.called
    assert watched.ended == []
    assert watched.reactor.getDelayedCalls() == []


def test_a_child_that_drains_for_too_long_costs_the_others_nothing_but_their_order(watched: Watched) -> None:
    a, b, c = watched.start()
    stopped = watched.supervisor.stopService()
    c.end()
    watched.reactor.advance(29)
    assert a.signals == []
    watched.reactor.advance(1)
    assert a.signals == ["TERM"]
    a.end()
    watched.reactor.advance(5)
    assert b.signals == ["TERM", "KILL"]
    b.end(signal=9)
    assert stopped.called
    assert watched.reactor.getDelayedCalls() == []


def test_a_hurry_asks_all_at_once_and_kills_a_second_later(watched: Watched) -> None:
    processes = watched.start()
    stopped = watched.supervisor.stopService()
    watched.supervisor.hurry()
    assert [process.signals for process in processes] == [["TERM"]] * 3
    watched.reactor.advance(1)
    assert [process.signals for process in processes] == [["TERM", "KILL"]] * 3
    for process in processes:
        process.end(signal=9)
    assert stopped.called
    watched.supervisor.hurry()


def test_a_hurry_before_the_stop_is_no_stop(watched: Watched) -> None:
    processes = watched.start()
    watched.supervisor.hurry()
    assert [process.signals for process in processes] == [[], [], []]


def test_stopping_twice_or_before_the_start_is_harmless(watched: Watched) -> None:
    assert watched.supervisor.stopService().called
    again = Watched()
    for process in again.start():
        process.dead = True
    first, second = again.supervisor.stopService(), again.supervisor.stopService()
    first.addErrback(lambda _: None)
    first.cancel()
    for process in again.reactor.spawned:
        process.end()
    assert second.called


def test_no_restart_happens_while_stopping(watched: Watched) -> None:
    spawned = watched.start()
    watched.supervisor.mark_ready("a")
    spawned[0].end(signal=9)
    watched.supervisor.stopService()
    for process in spawned[1:]:
        process.end()
    watched.reactor.advance(60)
    assert len(spawned) == 3


def test_a_name_is_given_once(watched: Watched) -> None:
    with pytest.raises(KeyError):
        watched.supervisor.add(ChildSpec("a", ["/bin/a"]))


def test_a_removed_child_stops_and_stays_away(watched: Watched) -> None:
    a = watched.start()[0]
    watched.supervisor.removeProcess("a")
    assert a.signals == ["TERM"]
    a.end(signal=15)
    watched.reactor.advance(60)
    assert len(watched.reactor.spawned) == 3


def test_restarts_are_warnings(watched: Watched, log: list[LogEvent]) -> None:
    a = watched.start()[0]
    a.end()
    assert [event["log_level"] for event in log if "starting it again" in str(event["log_format"])] == [LogLevel.warn]
