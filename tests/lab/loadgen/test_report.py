"""What a load test tells people and programs."""

import json

import pytest

from scalability.lab.loadgen.recorder import Failure, Recorder
from scalability.lab.loadgen.report import as_json, duration, heading, progress, summary
from scalability.lab.loadgen.run import Load, Measured
from scalability.lab.loadgen.target import target


def measured(load: Load | None = None, *, keep_alive: bool = True) -> Measured:
    made = Measured(target("http://h/data", keep_alive=keep_alive), load or Load())
    made.elapsed_s, made.cpu_s, made.connections = 2.0, 0.5, 50
    return made


def filled(recorder: Recorder) -> None:
    for number in range(1, 1001):
        recorder.answered(200, number / 1000, 10)
    recorder.answered(503, 0.001, 10)
    recorder.failed(Failure.REFUSED, 0.001)


def test_the_summary_has_the_labs_line_the_percentiles_and_the_errors() -> None:
    run = measured()
    filled(run.recorder)
    lines = summary(run).splitlines()
    assert lines[0] == "Success: 1000, Failures: 2, Avg Latency: 0.500s"
    assert [line.split()[0] for line in lines[1:8]] == ["p50", "p90", "p95", "p99", "p99.9", "p99.99", "max"]
    assert lines[1].split()[1:] == ["500", "ms"] or lines[1].startswith("p50     499.") or lines[1].startswith("p50     500.")
    assert lines[7] == "max     1 s"
    assert lines[8] == "501.0 requests/s in 2.00 s over 50 connections"
    assert lines[9] == "errors  refused: 1, 5xx: 1"
    assert len(lines) == 10


def test_a_run_without_any_answer_has_no_percentiles() -> None:
    run = measured()
    run.recorder.failed(Failure.REFUSED, 0.001)
    run.interrupted = True
    assert summary(run).splitlines() == [
        "Success: 0, Failures: 1, Avg Latency: 0.000s",
        "0.5 requests/s in 2.00 s over 50 connections",
        "errors  refused: 1",
        "interrupted: requests in flight are not counted",
    ]


def test_a_run_that_took_no_time_has_no_rate() -> None:
    run = measured()
    run.elapsed_s = 0.0
    assert run.requests_per_s == 0.0
    assert as_json(run)["generator"]["cpu_share"] == 0.0


def test_json_says_the_same_exactly_and_can_be_merged_from_its_cells() -> None:
    run = measured(Load(duration_s=2.0))
    filled(run.recorder)
    run.recorder.turn(1.0)
    told = json.loads(json.dumps(as_json(run)))
    assert (told["url"], told["method"], told["requests"], told["success"], told["failures"]) == ("http://h/data", "GET", 1002, 1000, 2)
    assert told["errors"] == {"refused": 1, "5xx": 1}
    assert told["statuses"] == {"200": 1000, "503": 1}
    assert told["received_bytes"] == 10_010
    assert told["latency"]["count"] == 1000
    assert told["latency"]["p99_s"] == pytest.approx(0.99, rel=0.001)
    assert told["latency"]["p99.99_s"] == pytest.approx(1.0, rel=0.001)
    assert sum(count for _, _, count in told["latency"]["cells"]) == 1000
    assert told["failed_latency"]["count"] == 2
    assert told["seconds"][0]["requests"] == 1002
    assert told["generator"] == {"cpu_s": 0.5, "cpu_share": 0.25}


@pytest.mark.parametrize(
    ("load", "keep_alive", "line"),
    [
        (Load(), True, "50 clients, 20 requests each: GET http://h/data"),
        (Load(requests=None, duration_s=2.5), True, "50 clients, as many requests as fit for 2.5 s: GET http://h/data"),
        (Load(connections=5), False, "50 clients over 5 connections, 20 requests each, a new connection for each: GET http://h/data"),
    ],
)
def test_the_heading_says_what_is_done(load: Load, keep_alive: bool, line: str) -> None:
    assert heading(measured(load, keep_alive=keep_alive)) == line


def test_progress_is_one_line() -> None:
    run = measured()
    filled(run.recorder)
    assert progress(run.recorder.turn(2.0), run) == "  2.0 s  1002/1000 requests  1002/s  p50 499.8 ms  p99 989.5 ms  failures 2"
    assert progress(run.recorder.turn(3.0), measured(Load(requests=None))) == "  2.0 s  0 requests  0/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 us"), (0.0000123, "12.3 us"), (0.001, "1 ms"), (0.0123456, "12.35 ms"), (1.0, "1 s"), (12.3456, "12.35 s")],
)
def test_durations_have_four_digits_and_a_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text
