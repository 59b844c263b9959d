"""What a worker's process does before and beside its work; the whole is tried in tests/integration."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from scalability.balancer.workers.child import MAX_TEXT, ParentsLog, first_messages
from scalability.balancer.workers.frames import FrameError, Frames, frame
from scalability.balancer.workers.messages import TO_WORKER, Collect, Line, Servers, Setup
from scalability.testing.processes import environment

SETUP = Setup(0, {}, "lb", [])
SERVERS = Servers([])


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_the_first_two_messages_say_who_it_is_and_what_follows_is_kept(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    ours.sendall(b"".join(map(frame, (SETUP, SERVERS, Collect(1)))) + frame(Collect(2))[:5])
    frames = Frames(TO_WORKER)
    assert first_messages(theirs, frames) == (SETUP, SERVERS, [Collect(1)])
    assert list(frames.feed(frame(Collect(2))[5:])) == [Collect(2)]


def test_without_them_it_cannot_begin(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    ours.sendall(frame(SERVERS) + frame(SERVERS))
    with pytest.raises(FrameError, match="did not say"):
        first_messages(theirs, Frames(TO_WORKER))
    ours.close()
    with pytest.raises(FrameError, match="the parent is gone"):
        first_messages(theirs, Frames(TO_WORKER))


def test_started_by_hand_it_says_so_in_one_line() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.close()
        argv = [sys.executable, "-m", "scalability.balancer.workers.child", "1", "scalability.net.reactor"]
        process = subprocess.run(argv, stdin=theirs.fileno(), capture_output=True, text=True, timeout=60, env=environment())
    assert process.returncode == 1
    assert process.stderr == "scalelab-lb: a worker cannot begin: the parent is gone\n"


class PlayedLink:
    def __init__(self) -> None:
        self.full = False
        self.sent: list[Any] = []

    def send(self, message: Any) -> None:
        self.sent.append(message)


def test_what_is_logged_goes_to_the_parent_with_its_level_and_its_traceback() -> None:
    link: Any = PlayedLink()
    log = Logger(namespace="scalability.test", observer=ParentsLog(link))
    log.warn("beware of {what}", what="dogs")
    log.debug("nobody reads this")
    try:
        raise ValueError("bad")
    except ValueError:
        log.failure("it failed", Failure())
    log.info("x" * 2 * MAX_TEXT)
    warned, failed, long = link.sent
    assert warned == Line("warn", "beware of dogs")
    assert failed.level == "critical"
    assert "ValueError: bad" in failed.text
    assert len(long.text) == MAX_TEXT


def test_what_twisted_says_of_sockets_and_what_does_not_fit_is_left_out() -> None:
    link: Any = PlayedLink()
    observer = ParentsLog(link)
    Logger(namespace="twisted.internet", observer=observer).info("opened")
    Logger(namespace="twisted.internet", observer=observer).error("broken")
    observer({"log_namespace": "log_legacy", "log_level": LogLevel.info, "log_format": "(TCP Port 1 Closed)"})
    link.full = True
    Logger(namespace="scalability.test", observer=observer).error("too much")
    assert link.sent == [Line("error", "broken")]
