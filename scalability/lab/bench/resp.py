"""``tools/bench.py resp``: what a command costs over RESP beside redis-server, and what an entry takes in memory.

redis-benchmark loads both, one process on one core each: 50 clients, values of 100 bytes, 100,000 random keys, one command at a time
and 16. Then a million entries with a time to live are written to both and read back.
"""

import csv
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any

import hiredis

from scalability.lab.bench.cores import apart
from scalability.lab.bench.cpu import cpu_seconds, resident_bytes
from scalability.lab.bench.programs import Program, free_port, plugin, redis_server
from scalability.lab.bench.rounds import NoFigure, Sample, in_turns, middle, ratio

Report = Callable[[str], None]

OURS, REDIS = "scalelab-cache", "redis-server"
COMMANDS = ("get", "set")
WANTED = {1: 1.15, 16: 2.0}
"""Of Redis's CPU a command, at most, by the commands sent at once."""
PER_SECOND = {1: 75_000, 16: 400_000}
"""Commands of a turn for each second that it may take, about."""
CLIENTS = 50
KEYS = 100_000
VALUE_BYTES = 100

ENTRIES = 1_000_000
MAX_OVERHEAD_BYTES = 350
AT_ONCE = 1000
"""Entries that are written, or read, before their replies are awaited."""


def resp(rounds: int, seconds: float, report: Report) -> dict[str, object]:
    """CPU a command of the cache server and of Redis; bytes an entry."""
    figures: dict[str, object] = {"benchmark": "resp"}
    with ExitStack() as running:
        programs = _programs(running)
        running.enter_context(apart(program.pid for program in programs.values()))
        for program in programs.values():
            _redis_benchmark(program, "set", 16, KEYS * 10)  # so that every key is there
        for at_once in WANTED:
            for command in COMMANDS:
                arms = {name: _arm(program, command, at_once, seconds) for name, program in programs.items()}
                taken = in_turns(arms, rounds, report)
                figures[f"{command} {at_once}"] = conclude(command, at_once, taken, report)
    with ExitStack() as running:
        for name, program in _programs(running).items():
            figures[f"bytes an entry of {name}"] = _overhead(name, program, report)
    return figures


def conclude(command: str, at_once: int, taken: dict[str, list[Sample]], report: Report) -> list[float]:
    """Say what the samples mean, next to what is wanted; median, least and greatest ratio of the CPU."""
    ours, theirs = taken[OURS], taken[REDIS]
    cpu = ratio(ours, theirs, lambda sample: sample.cpu_us)
    by = f"pipelined by {at_once}" if at_once > 1 else "one at a time"
    report(
        f"resp: {command.upper()} {by}: {middle(ours, _cpu):.2f} us CPU, Redis {middle(theirs, _cpu):.2f} us: {cpu} times "
        f"(wanted: at most {WANTED[at_once]})"
    )
    return [cpu.median, cpu.least, cpu.greatest]


def sample_of(output: str, requests: int, cpu_s: float) -> Sample:
    """What redis-benchmark's ``--csv`` says. Raises NoFigure when that is no table."""
    rows = [row for row in csv.DictReader(output.splitlines()) if row.get("rps")]
    if len(rows) != 1:
        raise NoFigure(f"redis-benchmark said: {output[:300]!r}")
    row = rows[0]
    return Sample(
        requests,
        0,
        requests / float(row["rps"]),
        cpu_s / requests * 1e6,
        p50_s=float(row["p50_latency_ms"]) / 1e3,
        p99_s=float(row["p99_latency_ms"]) / 1e3,
    )


def _programs(running: ExitStack) -> dict[str, Program]:
    resp_port = free_port()
    ours = running.enter_context(
        plugin("scalelab-cache", "--resp", f"127.0.0.1:{resp_port}", "--max-bytes", str(1 << 30), port=free_port())
    )
    ours.port = resp_port
    return {OURS: ours, REDIS: running.enter_context(redis_server(free_port()))}


def _arm(program: Program, command: str, at_once: int, seconds: float) -> Callable[[], Sample]:
    requests = int(PER_SECOND[at_once] * seconds)

    def run() -> Sample:
        before = cpu_seconds(program.pid)
        output = _redis_benchmark(program, command, at_once, requests)
        return sample_of(output, requests, cpu_seconds(program.pid) - before)

    return run


def _redis_benchmark(program: Program, command: str, at_once: int, requests: int) -> str:
    words = ["redis-benchmark", "-p", str(program.port), "-t", command, "-n", str(requests), "-P", str(at_once), "--csv"]
    words += ["-c", str(CLIENTS), "-r", str(KEYS), "-d", str(VALUE_BYTES)]
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=300).stdout


def _overhead(name: str, program: Program, report: Report) -> float:
    """Bytes of memory that an entry with a time to live takes beside its key and its value."""
    with socket.create_connection(("127.0.0.1", program.port), timeout=60) as connection:
        client = _Pipeline(connection)
        before = resident_bytes(program.pid)
        written = sum(reply == b"OK" for reply in client.run((b"SET", key, value, b"EX", b"3600") for key, value in _entries()))
        taken = resident_bytes(program.pid) - before
        found = sum(reply is not None for reply in client.run((b"GET", key) for key, _ in _entries()))
    if written != ENTRIES or found != ENTRIES:
        raise NoFigure(f"{name}: of {ENTRIES} entries {written} were written and {found} read back")
    content = sum(len(key) + len(value) for key, value in _entries()) / ENTRIES
    overhead = taken / ENTRIES - content
    wanted = f" (wanted: at most {MAX_OVERHEAD_BYTES})" if name == OURS else ""
    report(f"resp: {name}: a million entries written and read back; {overhead:.0f} bytes an entry beside key and value{wanted}")
    return overhead


def _entries() -> Iterator[tuple[bytes, bytes]]:
    return ((b"key:%012d" % n, b"%016d" % n) for n in range(ENTRIES))


class _Pipeline:
    """Many requests at once over a blocking socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def run(self, requests: Iterator[tuple[Any, ...]]) -> Iterator[object]:
        """The replies, in order."""
        reader = hiredis.Reader()
        while batch := list[Any](islice(requests, AT_ONCE)):
            self._connection.sendall(b"".join(hiredis.pack_command(words) for words in batch))
            for _ in batch:
                while (reply := reader.gets()) is False:
                    reader.feed(self._connection.recv(1 << 20))
                yield reply


def _cpu(sample: Sample) -> float:
    return sample.cpu_us
