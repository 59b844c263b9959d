"""The load test as it is called."""

import io
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from scalability.lab.loadgen.command import _until_done, load_test, main, parser
from scalability.lab.loadgen.run import Load
from scalability.lab.loadgen.target import target
from scalability.testing.processes import Process

Runs = Callable[..., Process]

ANSWERS = """
import sys
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Site

class Page(Resource):
    isLeaf = True
    def render(self, request):
        if request.path == b"/slow":
            return 1
        request.setResponseCode(int(request.path[1:] or 200))
        return request.method + b" " + request.content.read() + b" " + (request.getHeader("x-a") or "").encode()

port = reactor.listenTCP(0, Site(Page()), interface="127.0.0.1")
print("listens on 127.0.0.1:%d" % port.getHost().port, flush=True)
reactor.run()
"""
CALL = "from scalability.lab.loadgen.command import main; raise SystemExit(main())"


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """The URL of a server whose path is the status that it answers."""
    with Process([sys.executable, "-c", ANSWERS], parent_pipe=False) as process:
        yield "http://" + process.wait_for(r"listens on (127.0.0.1:\d+)")[1]


def loadtest(run: Runs, *args: str) -> Process:
    process = run(sys.executable, "-c", CALL, *args)
    process.wait(timeout_s=30)
    return process


def test_a_good_run_ends_with_0_and_the_summary(run: Runs, page: str) -> None:
    done = loadtest(run, f"{page}/200", "--clients", "5", "--requests", "4")
    assert done.status == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("5 clients, 4 requests each: GET http://")
    assert lines[1].startswith("Success: 20, Failures: 0, Avg Latency: 0.")
    assert [line.split()[0] for line in lines[2:9]] == ["p50", "p90", "p95", "p99", "p99.9", "p99.99", "max"]
    assert "requests/s" in lines[9]
    assert done.stderr == ""


def test_failed_requests_end_with_1_and_their_class(run: Runs, page: str) -> None:
    done = loadtest(run, f"{page}/503", "--clients", "1", "--requests", "3")
    assert done.status == 1
    assert "Success: 0, Failures: 3" in done.stdout
    assert done.stdout.splitlines()[-1] == "errors  5xx: 3"


def test_json_is_the_only_output(run: Runs, page: str, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"12345")
    done = loadtest(run, f"{page}/200", "--json", "--clients=2", "--requests=2", f"--body=@{body}", "--header=X-A: bc", "--no-keepalive")
    told = json.loads(done.stdout)
    assert (told["success"], told["method"], told["connections_opened"]) == (4, "POST", 4)
    assert told["received_bytes"] == 4 * len("POST 12345 bc")


def test_nobody_there_is_4_and_one_line(run: Runs) -> None:
    done = loadtest(run, "http://127.0.0.1:1/data")
    assert done.status == 4
    assert done.stderr == "loadtest: nothing listens on 127.0.0.1:1; start the lab with: python3 tools/up.py\n"
    assert done.stdout == ""


def test_a_host_that_does_not_exist_is_4(run: Runs) -> None:
    done = loadtest(run, "http://no-such-host.invalid/")
    assert done.status == 4
    assert "no host named no-such-host.invalid" in done.stderr


def test_ctrl_c_prints_what_was_measured_until_then(run: Runs, page: str) -> None:
    process = run(sys.executable, "-c", CALL, f"{page}/slow", "--clients", "2")
    process.wait_for("2 clients")
    process.kill(signal.SIGINT)
    assert process.wait(timeout_s=10) == 130
    assert "Success: 0, Failures: 0" in process.stdout
    assert process.stdout.endswith("interrupted: requests in flight are not counted\n")
    assert "Traceback" not in process.output


async def outcome_of(url: str, load: Load, *, json_wanted: bool = False) -> tuple[int, str, str]:
    """The status, standard output and standard error of a load test in this process."""
    from twisted.internet import reactor

    out, err = io.StringIO(), io.StringIO()
    return await load_test(reactor, target(url), load, out=out, err=err, json_wanted=json_wanted), out.getvalue(), err.getvalue()


async def test_the_statuses_are_those_of_what_happened(page: str) -> None:
    few = Load(clients=2, requests=2, connections=2)
    status, out, err = await outcome_of(f"{page}/200", few)
    assert (status, err) == (0, "")
    assert "Success: 4, Failures: 0" in out
    status, out, _ = await outcome_of(f"{page}/404", few, json_wanted=True)
    assert (status, json.loads(out)["errors"]) == (1, {"4xx": 4})
    status, out, err = await outcome_of("http://127.0.0.1:1/", few)
    assert (status, out, err.count("\n")) == (4, "", 1)
    assert (await outcome_of("http://no-such-host.invalid/", few))[0] == 4


async def test_a_cancelled_test_prints_what_it_has(page: str) -> None:
    from twisted.internet import reactor

    running = Deferred.fromCoroutine(outcome_of(f"{page}/slow", Load(clients=1, connections=1)))
    await deferLater(reactor, 0.3)
    running.cancel()
    status, out, _ = await running
    assert status == 130
    assert "interrupted" in out


class StillReactor:
    """Runs what it is told to run, and stops when it is told so."""

    def __init__(self, *, interrupt: bool = False) -> None:
        self.stops = 0
        self._interrupt = interrupt
        self._start: Callable[[], None]
        self._shutdown: Callable[[], Deferred[None] | None]

    def callWhenRunning(self, start: Callable[[], None]) -> None:  # noqa: N802 - Twisted's name
        self._start = start

    def addSystemEventTrigger(self, phase: str, event: str, shutdown: Callable[[], Deferred[None] | None]) -> None:  # noqa: N802
        assert (phase, event) == ("before", "shutdown")
        self._shutdown = shutdown

    def stop(self) -> None:
        self.stops += 1

    def run(self) -> None:
        self._start()
        if self._interrupt:
            waited = self._shutdown()
            assert waited is not None
            assert waited.called
        assert self._shutdown() is None, "nothing is left to wait for"


def test_the_reactor_stops_when_everything_is_said() -> None:
    async def five(reactor: Any) -> int:
        return 5

    reactor, err = StillReactor(), io.StringIO()
    assert _until_done(reactor, five, err) == 5
    assert (reactor.stops, err.getvalue()) == (1, "")


def test_a_mistake_of_ours_has_a_status_of_its_own() -> None:
    async def breaks(reactor: Any) -> int:
        raise ValueError("a mistake")

    err = io.StringIO()
    assert _until_done(StillReactor(), breaks, err) == 70
    assert "ValueError: a mistake" in err.getvalue()


def test_an_interrupt_is_waited_for_and_stops_nothing_twice() -> None:
    async def waits(reactor: Any) -> int:
        await Deferred()
        return 0

    reactor, err = StillReactor(interrupt=True), io.StringIO()
    assert _until_done(reactor, waits, err) == 130
    assert (reactor.stops, err.getvalue()) == (0, "")


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["https://h/"], "not an http:// URL"),
        (["--clients", "0"], "--clients"),
        (["--clients", "10001"], "--clients"),
        (["--requests", "-1"], "--requests"),
        (["--requests", "x"], "'x' is not a whole number"),
        (["--requests", "1.5"], "'1.5' is not a whole number"),
        (["--timeout", "x"], "'x' is not a number"),
        (["--duration", "inf"], "--duration"),
        (["--duration", "0"], "--duration"),
        (["--timeout", "nan"], "--timeout"),
        (["--connections", "0"], "--connections"),
        (["--header", "nonsense"], "--header"),
        (["--method", "G T"], "--method"),
        (["--body", "@/nowhere/at/all"], "--body: cannot read /nowhere/at/all"),
        (["--rate", "3"], "--rate"),
    ],
)
def test_a_mistake_is_64_and_one_line(args: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(args)
    assert ended.value.code == 64
    line = capsys.readouterr().err
    assert line.startswith("loadtest: ")
    assert line.count("\n") == 1
    assert why in line


def test_without_arguments_it_is_the_labs_load() -> None:
    given = parser().parse_args([])
    assert (given.url, given.clients, given.requests, given.timeout) == ("http://127.0.0.1:8000/data", 50, None, 10.0)


def test_help_names_every_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "20, or no limit with --duration" in " ".join(shown.split())
    assert "130 interrupted" in " ".join(shown.split())
