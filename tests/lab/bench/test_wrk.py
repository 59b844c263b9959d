"""Reading what wrk prints, and refusing what is not on this machine."""

import math

import pytest

from scalability.lab.bench.wrk import missing, parse, upload_script, wrk

OUTPUT = """Running 2s test @ http://127.0.0.1:8000/data
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.19ms  203.08us   7.09ms   92.96%
    Req/Sec    29.33k     1.02k   30.26k    95.24%
  61250 requests in 2.10s, 9.35MB read
Requests/sec:  29166.04
Transfer/sec:      4.45MB
"""


def test_requests_and_seconds_are_read() -> None:
    found = parse(OUTPUT)
    assert (found.requests, found.errors, found.seconds) == (61250, 0, 2.1)


def test_socket_errors_and_refusals_are_errors() -> None:
    errors = "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\n"
    assert parse(OUTPUT + errors).errors == 15


def test_percentiles_are_read() -> None:
    latencies = "  Latency Distribution\n     50%    2.00ms\n     75%    3.00ms\n     90%    4.00ms\n     99%  950.00us\n"
    found = parse(OUTPUT + latencies)
    assert found.p50_s == pytest.approx(0.002)
    assert found.p99_s == pytest.approx(0.00095)
    assert math.isnan(parse(OUTPUT).p50_s)


def test_an_upload_is_a_post_of_so_many_bytes() -> None:
    script = upload_script(65536)
    assert 'wrk.method = "POST"' in script
    assert 'string.rep("x", 65536)' in script


def test_milliseconds_are_seconds_too() -> None:
    assert parse("3 requests in 500.00ms, 1KB read").seconds == pytest.approx(0.5)


def test_other_output_is_refused() -> None:
    with pytest.raises(ValueError, match="not wrk's output"):
        parse("unable to connect")


def test_only_this_machine_is_loaded() -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1 only"):
        wrk("http://example.org/", connections=1, seconds=1)


def test_absent_programs_are_named() -> None:
    assert missing("sh", "no-such-program-here") == ["no-such-program-here"]
