"""``tools/loadtest.py``: a closed-loop load test of one URL.

Exit status: 0 when every request was answered well, 1 when at least one failed, 4 when nobody listens, 64 for a mistake on the
command line, 130 when it was interrupted; what was measured until then is printed all the same. 2 and 3 are kept for a
missed threshold and an invalid run; 70 is a mistake of ours.
"""

import argparse
import json
import math
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from scalability.config import Address
from scalability.errors import ConfigError, ConnectError
from scalability.lab.loadgen.progress import Progress
from scalability.lab.loadgen.report import as_json, heading, summary
from scalability.lab.loadgen.run import Load, Run, ensure_descriptors, reachable
from scalability.lab.loadgen.target import MAX_BODY_BYTES, Target, target

FINE, FAILURES, UNREACHABLE, USAGE, SOFTWARE, INTERRUPTED = 0, 1, 4, 64, 70, 130

URL = "http://127.0.0.1:8000/data"
CLIENTS, REQUESTS = 50, 20
START = "start the lab with: python3 tools/up.py"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and ends with 64: 2 means a missed threshold."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"loadtest: {message}\n")


def _number(name: str, convert: Callable[[str], Any], low: float, high: float) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a {'whole ' if convert is int else ''}number") from None
        if not math.isfinite(value) or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is outside {low:g} to {high:g} {name}")
        return value

    return parse


def parser() -> argparse.ArgumentParser:
    """The command line of the load test."""
    made = _Parser(
        prog="loadtest.py",
        description="Load one URL with clients that each send a request, wait for its answer, and send the next.",
        epilog="Exit status: 0 fine, 1 some request failed, 4 nobody listens there, 64 a mistake in these arguments, 130 interrupted.",
    )
    made.add_argument("url", nargs="?", default=URL, metavar="URL", help="http:// URL to ask for (default %(default)s)")
    made.add_argument(
        "--clients",
        type=_number("clients", int, 1, 10_000),
        default=CLIENTS,
        metavar="N",
        help="clients at the same time (default %(default)s)",
    )
    made.add_argument(
        "--requests",
        type=_number("requests", int, 1, 1_000_000),
        metavar="N",
        help=f"requests of each client (default {REQUESTS}, or no limit with --duration)",
    )
    made.add_argument(
        "--duration", type=_number("seconds", float, 0.1, 86_400), metavar="S", help="seconds after which no request is begun"
    )
    made.add_argument(
        "--timeout",
        type=_number("seconds", float, 0.05, 3_600),
        default=10.0,
        metavar="S",
        help="seconds from wanting to send to the last byte of the answer; then the request has failed (default %(default)g)",
    )
    made.add_argument(
        "--connections",
        type=_number("connections", int, 1, 10_000),
        metavar="N",
        help="connections that the clients share, each waiting its turn (default: one for each client)",
    )
    made.add_argument("--no-keepalive", action="store_true", help="open a new connection for each request")
    made.add_argument("--method", default=None, metavar="NAME", help="request method (default GET, or POST with --body)")
    made.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'", help="a field to send; repeatable")
    made.add_argument("--body", metavar="TEXT", help="body to send, or @FILE for the content of a file")
    made.add_argument("--json", action="store_true", help="print what was measured as one JSON object")
    return made


def main(argv: Sequence[str] | None = None, out: TextIO | None = None, err: TextIO | None = None) -> int:
    """Run the load test that ``argv`` asks for; its exit status."""
    out, err = out or sys.stdout, err or sys.stderr
    made = parser()
    given = made.parse_args(argv)
    try:
        wanted = target(
            given.url,
            method=given.method or ("GET" if given.body is None else "POST"),
            headers=given.header,
            body=_body(given.body),
            keep_alive=not given.no_keepalive,
        )
        load = Load(
            clients=given.clients,
            requests=REQUESTS if given.requests is None and given.duration is None else given.requests,
            duration_s=given.duration,
            timeout_s=given.timeout,
            connections=min(given.connections or given.clients, given.clients),
        )
        ensure_descriptors(load.connections)
    except (ValueError, ConfigError) as error:
        made.error(str(error))
    from scalability.net.reactor import install

    return _until_done(install(), lambda reactor: load_test(reactor, wanted, load, out=out, err=err, json_wanted=given.json), err)


async def load_test(reactor: Any, wanted: Target, load: Load, *, out: TextIO, err: TextIO, json_wanted: bool = False) -> int:
    """Knock, run, and print; the exit status. Cancelling it ends the run, and what was measured until then is printed."""
    try:
        address = await reachable(reactor, _addresses(wanted.address), min(load.timeout_s, 10.0))
    except ConnectError as error:
        here = wanted.address.host in ("127.0.0.1", "localhost", "::1")
        err.write(f"loadtest: {error}{f'; {START}' if here else ''}\n")
        return UNREACHABLE
    run = Run(reactor, wanted, load)
    measured = run.measured
    if not json_wanted:
        out.write(heading(measured) + "\n")
        out.flush()
    progress = Progress(err, measured)
    run.turned = progress.turned
    await run.run(address)
    progress.end()
    out.write((json.dumps(as_json(measured)) if json_wanted else summary(measured)) + "\n")
    out.flush()
    if measured.interrupted:
        return INTERRUPTED
    return FAILURES if measured.recorder.totals.failed else FINE


def _until_done(reactor: Any, begin: Callable[[Any], Coroutine[Deferred[Any], Any, int]], err: TextIO) -> int:
    """Run the reactor until the coroutine has ended; its result. Ctrl-C cancels it, and the reactor waits for what it still says."""
    status = INTERRUPTED
    running: Deferred[None] | None = None
    stopping = False

    def start() -> None:
        nonlocal running
        running = Deferred.fromCoroutine(begin(reactor)).addCallbacks(ended, broke)
        running.addBoth(stop)

    def ended(result: int) -> None:
        nonlocal status
        status = result

    def broke(failure: Failure) -> None:
        nonlocal status
        if failure.check(CancelledError) is None:
            err.write(failure.getTraceback())
            status = SOFTWARE

    def stop(_: object) -> None:
        nonlocal running
        running = None
        if not stopping:
            reactor.stop()

    def interrupted() -> Deferred[None] | None:
        nonlocal stopping
        stopping = True
        ending = running
        if ending is not None:
            ending.cancel()
        return ending

    reactor.callWhenRunning(start)
    reactor.addSystemEventTrigger("before", "shutdown", interrupted)
    reactor.run()
    return status


def _body(given: str | None) -> bytes:
    if given is None or not given.startswith("@"):
        return (given or "").encode()
    path = Path(given[1:])
    try:
        with path.open("rb") as file:
            return file.read(MAX_BODY_BYTES + 1)
    except OSError as error:
        raise ValueError(f"--body: cannot read {path}: {error.strerror}") from error


def _addresses(address: Address) -> list[Address]:
    """The IP addresses of a host. It blocks, which nothing minds: nothing else runs yet."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConnectError(f"there is no host named {address.host}: {error.strerror}") from error
    return list(dict.fromkeys(Address(str(sockaddr[0]), address.port) for *_, sockaddr in found))
