"""The load test as it is called."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scalability.lab.loadgen.command import main, parser
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


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["https://h/"], "not an http:// URL"),
        (["--clients", "0"], "--clients"),
        (["--clients", "10001"], "--clients"),
        (["--requests", "-1"], "--requests"),
        (["--requests", "x"], "'x' is not a number"),
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
