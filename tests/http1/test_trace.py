"""Names of requests: made anew, or kept from those who are trusted."""

import pytest

from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.request_head import RequestHead, parse_request_head
from scalability.http1.trace import Identifiers

TRACE = b"0af7651916cd43dd8448eb211c80319c"
PARENT = b"00-" + TRACE + b"-b7ad6b7169203331-00"


def request(*lines: bytes) -> RequestHead:
    return parse_request_head(b"\r\n".join([b"GET / HTTP/1.1", b"Host: a", *lines]) + b"\r\n\r\n", DEFAULT_LIMITS)


class Counting:
    """Bytes that never repeat, and how often they were asked for."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, count: int) -> bytes:
        self.calls += 1
        return b"".join((self.calls * 1000 + n).to_bytes(24, "big") for n in range(count // 24))


def kept(*lines: bytes) -> tuple[bytes, bytes]:
    return Identifiers(Counting()).kept(request(*lines))


def test_a_new_name_is_random_bytes_in_hexadecimal() -> None:
    trace, span = Identifiers(lambda count: bytes(range(24)) * (count // 24)).fresh()
    assert (trace, span) == (b"000102030405060708090a0b0c0d0e0f", b"1011121314151617")


def test_names_do_not_repeat_and_random_bytes_are_fetched_for_many_at_once() -> None:
    source = Counting()
    identifiers = Identifiers(source)
    assert len({identifiers.fresh() for _ in range(1000)}) == 1000
    assert source.calls == 8


def test_what_a_trusted_peer_brings_is_kept_as_it_is() -> None:
    state = b"tracestate: a=b"
    assert kept(b"X-Request-Id: r-1", b"Traceparent: " + PARENT, state, b"tracestate: c=d") == (
        b"r-1",
        b"X-Request-Id: r-1\r\ntraceparent: " + PARENT + b"\r\ntracestate: a=b\r\ntracestate: c=d\r\n",
    )


def test_a_trace_without_a_request_id_gives_its_own() -> None:
    assert kept(b"traceparent: " + PARENT) == (TRACE, b"X-Request-Id: " + TRACE + b"\r\ntraceparent: " + PARENT + b"\r\n")


def test_a_request_id_without_a_trace_gets_a_new_one_and_no_state() -> None:
    name, lines = kept(b"X-Request-Id: r-1", b"tracestate: a=b")
    assert name == b"r-1"
    assert lines.startswith(b"X-Request-Id: r-1\r\ntraceparent: 00-")
    assert b"tracestate" not in lines


@pytest.mark.parametrize("bad", [b"", b"a b", b"x" * 129, b"\xe4"])
def test_a_request_id_that_is_none_is_made_anew(bad: bytes) -> None:
    name, lines = kept(b"X-Request-Id: " + bad)
    assert len(name) == 32
    assert lines.count(b"X-Request-Id") == 1


def test_a_name_that_came_twice_is_none() -> None:
    assert kept(b"X-Request-Id: a", b"X-Request-Id: b")[0] not in (b"a", b"b")
    assert PARENT not in kept(b"traceparent: " + PARENT, b"traceparent: " + PARENT)[1]


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        PARENT[:-1],
        PARENT + b"-more",
        PARENT.upper(),
        b"ff" + PARENT[2:],
        b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01",
        b"00-" + TRACE + b"-0000000000000000-01",
        b"01" + PARENT[2:] + b"-" + b"x" * 300,
    ],
)
def test_a_traceparent_that_is_not_well_formed_is_made_anew(bad: bytes) -> None:
    name, lines = kept(b"traceparent: " + bad, b"tracestate: a=b")
    assert lines.startswith(b"X-Request-Id: " + name + b"\r\ntraceparent: 00-" + name)
    assert b"tracestate" not in lines


def test_a_later_version_may_say_more() -> None:
    later = b"01" + PARENT[2:] + b"-more"
    assert b"traceparent: " + later in kept(b"traceparent: " + later)[1]
