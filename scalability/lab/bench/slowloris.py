"""Slowloris: thousands of connections that each dribble a byte a second, and what honest clients feel of them.

The whole run takes ``rounds`` times ``seconds``: a quarter of it quiet, a half under attack, a quarter quiet again. The attackers
are a process of their own. Each opens a connection, sends one byte of a head every second, and opens the next when it is answered
(408) or closed. They come within ``RAMP_S``, before the attack is measured. The honest client is a ``SteadyClient``.
"""

import selectors
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress

from scalability.lab.bench.programs import ROOT, Program, free_port, plugin, upstream
from scalability.lab.bench.rounds import NoFigure
from scalability.lab.bench.steady import SteadyClient, percentile
from scalability.lifecycle.open_files import raise_open_files

ATTACKERS = 5000
RAMP_S = 5.0
DRIBBLE = b"GET /data HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: " + b"a" * 60


class Attack:
    """The attackers' process: ``count`` connections to ``port`` until it is closed."""

    def __init__(self, port: int, count: int) -> None:
        command = ["nice", "-n", "19", sys.executable, "-m", "scalability.lab.bench.slowloris", str(port), str(count)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)

    def wait_open(self) -> int:
        """How many connections stand when all have been opened."""
        assert self._process.stdout is not None
        return int(self._process.stdout.readline() or b"0")

    def close(self) -> int:
        """End it; how many connections it lost, and opened again, meanwhile."""
        output, _ = self._process.communicate(timeout=30)
        return int(output or b"0")


class Dribblers:
    """What the attackers' process does, one turn at a time."""

    def __init__(self, port: int, count: int) -> None:
        self._address = ("127.0.0.1", port)
        self._count = count
        self._turns: deque[tuple[socket.socket, int]] = deque()
        self.lost = 0

    def __len__(self) -> int:
        return len(self._turns)

    def open(self) -> None:
        """One more connection."""
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(self._address)
        self._turns.append((connection, 0))

    def dribble(self, connections: int) -> None:
        """The next byte of each of so many connections; one that was answered or closed is replaced."""
        for _ in range(min(connections, len(self._turns))):
            connection, at = self._turns.popleft()
            try:
                with suppress(BlockingIOError):
                    connection.recv(1000)
                    raise ConnectionResetError  # an answer, or the end
                connection.send(DRIBBLE[at : at + 1])
            except BlockingIOError:
                self._turns.append((connection, at))  # it is still connecting
            except OSError:
                connection.close()
                self.lost += 1
                self.open()
            else:
                self._turns.append((connection, min(at + 1, len(DRIBBLE) - 1)))

    def close(self) -> None:
        for connection, _ in self._turns:
            connection.close()


def dribble(port: int, count: int) -> None:
    """The attackers' process: says on stdout when all are connected; ends when its stdin does, and says how many were lost."""
    raise_open_files()
    dribblers = Dribblers(port, count)
    step_s = 0.002  # attackers know nothing of each other: their bytes come spread over the second, not in volleys
    due = time.monotonic()
    watching = selectors.DefaultSelector()
    watching.register(sys.stdin, selectors.EVENT_READ)
    announced = False
    owed = 0.0
    while not watching.select(max(0.0, due - time.monotonic())):
        if time.monotonic() < due:
            continue
        due = max(due + step_s, time.monotonic() - 0.5)
        for _ in range(min(count - len(dribblers), int(count / RAMP_S * step_s) + 1)):
            dribblers.open()
        if len(dribblers) == count and not announced:
            announced = True
            sys.stdout.write(f"{len(dribblers)}\n")
            sys.stdout.flush()
        owed += len(dribblers) * step_s
        dribblers.dribble(int(owed))
        owed -= int(owed)
    dribblers.close()
    sys.stdout.write(f"{dribblers.lost}\n")


def slowloris(rounds: int, seconds: float, report: Callable[[str], None]) -> dict[str, object]:
    """The p99 of honest clients of scalelab-lb, quiet and under attack."""
    total_s = rounds * seconds
    with ExitStack() as running:
        port = free_port()
        running.enter_context(upstream(port))
        ours: Program = running.enter_context(plugin("scalelab-lb", "--backend", f"127.0.0.1:{port}", port=free_port()))
        honest = SteadyClient(ours.port)
        running.callback(honest.close)
        honest.run(0.5)
        quiet = list(honest.run(total_s / 4))
        attack = Attack(ours.port, ATTACKERS)
        try:
            stood = attack.wait_open()
            attacked = list(honest.run(total_s / 2))
        finally:
            lost = attack.close()
        time.sleep(1.0)  # what the attackers left behind is no part of either; no reactor runs here
        quiet += honest.run(total_s / 4)
    if honest.failures:
        raise NoFigure(f"{honest.failures} requests of honest clients failed")
    before, during = percentile(quiet, 0.99), percentile(attacked, 0.99)
    report(
        f"slowloris: {stood} connections of a byte a second, {lost} of them cut and opened again; "
        f"honest clients' p99 {during * 1e3:.2f} ms, quiet {before * 1e3:.2f} ms: {during / before:.2f} times (wanted: at most 2.0)"
    )
    p50 = (percentile(attacked, 0.5) * 1e3, percentile(quiet, 0.5) * 1e3)
    report(f"slowloris: p50 {p50[0]:.2f} ms, quiet {p50[1]:.2f} ms; {len(quiet)} and {len(attacked)} requests")
    return {"benchmark": "slowloris", "p99_ratio": during / before, "attackers": stood, "cut": lost, "p99_ms": [before * 1e3, during * 1e3]}


if __name__ == "__main__":
    dribble(int(sys.argv[1]), int(sys.argv[2]))
