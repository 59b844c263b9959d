"""Bodies are encoded a piece a turn, flushed where somebody may wait, and held back where nobody reads."""

import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from scalability.errors import Overloaded
from scalability.gateway.transform.codings import ENCODERS, PIECE_BYTES
from scalability.gateway.transform.encoded_body import APART_BYTES, LARGE_BYTES, MAX_WAITING_BYTES, WORTH_BYTES, EncodedBody
from scalability.gateway.transform.turns import Turns


class Slow(Clock):
    """Each look at it takes longer than a turn may: one piece a turn."""

    turns = 0

    def seconds(self) -> float:
        self.rightNow += 0.0 if not self.slow else 1.0
        return self.rightNow

    slow = False

    def callLater(self, *args: Any, **more: Any) -> Any:
        self.turns += 1
        return super().callLater(*args, **more)


class FakeThreads:
    """The test says when a thread has done its work; ``none``: there are no threads."""

    def __init__(self) -> None:
        self.work: list[tuple[Callable[[], bytes], Deferred[bytes]]] = []
        self.none = False
        self.runs = 0

    def run(self, work: Callable[[], bytes]) -> Deferred[bytes]:
        if self.none:
            return fail(Overloaded("there are none"))
        self.runs += 1
        done: Deferred[bytes] = Deferred()
        self.work.append((work, done))
        return done

    def end(self) -> None:
        work, done = self.work.pop()
        try:
            done.callback(work())
        except ZeroDivisionError as error:
            done.errback(error)


class Client:
    def __init__(self, *, flush: bool = False, threads: FakeThreads | None = None) -> None:
        self.clock = Slow()
        apart: Any = threads
        self.sent = b""
        self.over = False
        self.heard: list[str] = []
        self.body = EncodedBody(
            ENCODERS[b"gzip"](),
            Turns(self.clock, apart),
            flush=flush,
            write=self.write,
            ended=self.ended,
            full=lambda: self.heard.append("full"),
            ready=lambda: self.heard.append("ready"),
        )

    def write(self, data: bytes) -> None:
        assert not self.over
        self.sent += data

    def ended(self, data: bytes) -> None:
        self.write(data)
        self.over = True

    def decoded(self) -> bytes:
        return zlib.decompressobj(31).decompress(self.sent)

    def settle(self) -> None:
        while self.clock.getDelayedCalls():
            self.clock.advance(0)


def test_what_comes_in_a_stream_can_be_decoded_at_once() -> None:
    client = Client(flush=True)
    for event in (b"data: 1\n\n", b"data: 2\n\n"):
        client.body.feed(event)
        client.settle()
        assert client.decoded().endswith(event)
    client.body.end()
    client.settle()
    assert client.over


def test_a_large_piece_takes_many_turns() -> None:
    client = Client()
    body = bytes(range(256)) * 4096
    client.body.feed(body)
    client.body.end()
    assert client.sent == b""
    client.clock.slow = True
    client.settle()
    assert client.clock.turns == len(body) // PIECE_BYTES
    assert client.over
    assert client.decoded() == body


def test_who_brings_too_much_is_told_to_wait_and_to_go_on() -> None:
    client = Client()
    client.body.feed(b"x" * (MAX_WAITING_BYTES + 2 * PIECE_BYTES))
    assert client.heard == ["full"]
    client.settle()
    assert client.heard == ["full", "ready"]


def test_nothing_is_encoded_for_a_client_that_does_not_read() -> None:
    client = Client(flush=True)
    client.body.hold()
    client.body.feed(b"x" * 100)
    client.body.end()
    client.settle()
    assert (client.sent, client.over) == (b"", False)
    client.body.go_on()
    client.settle()
    assert client.over
    client.body.go_on()
    client.settle()
    assert client.decoded() == b"x" * 100


def test_a_hold_in_the_middle_loses_nothing() -> None:
    client = Client()
    client.body.feed(b"ab" * 3 * PIECE_BYTES)
    client.clock.advance(0)
    client.body.hold()
    client.body.end()
    client.body.go_on()
    client.settle()
    assert client.decoded() == b"ab" * 3 * PIECE_BYTES


def test_after_a_cancel_nothing_comes() -> None:
    client = Client()
    client.body.feed(b"x" * 10 * PIECE_BYTES)
    client.body.cancel()
    client.body.feed(b"x")
    client.settle()
    assert not client.over


@pytest.mark.parametrize("data", [[], [b""], [b"", b"x", b""]])
def test_empty_pieces_are_nothing(data: Any) -> None:
    client = Client(flush=True)
    for one in data:
        client.body.feed(one)
    client.body.end()
    client.settle()
    assert client.over
    assert client.decoded() == b"".join(data)


BODY = b"".join(b"%d," % number for number in range(100_000))


def test_a_large_body_goes_on_in_a_thread_a_piece_at_a_time() -> None:
    threads = FakeThreads()
    client = Client(threads=threads)
    client.body.feed(BODY)
    client.body.end()
    client.settle()
    assert len(threads.work) == 1
    client.settle()
    while threads.work:
        assert len(threads.work) == 1
        assert not client.over
        threads.end()
    assert client.over
    assert client.decoded() == BODY
    assert threads.runs == -(-(len(BODY) - LARGE_BYTES) // APART_BYTES)


def test_a_body_that_is_not_large_meets_no_thread() -> None:
    threads = FakeThreads()
    client = Client(threads=threads)
    client.body.feed(BODY[:LARGE_BYTES])
    client.body.end()
    client.settle()
    assert (client.over, threads.runs) == (True, 0)


def test_events_of_a_long_stream_are_no_work_for_a_thread() -> None:
    threads = FakeThreads()
    client = Client(threads=threads, flush=True)
    client.body.feed(BODY[: 2 * LARGE_BYTES])
    client.settle()
    threads.end()
    client.body.feed(b"data: 1\n\n")
    client.settle()
    assert client.decoded().endswith(b"data: 1\n\n")
    client.body.feed(BODY[:WORTH_BYTES])
    assert len(threads.work) == 1
    threads.end()
    assert client.decoded().endswith(BODY[:WORTH_BYTES])


def test_what_a_thread_encodes_for_nobody_is_dropped() -> None:
    threads = FakeThreads()
    client = Client(threads=threads)
    client.body.feed(BODY)
    client.settle()
    sent = client.sent
    client.body.cancel()
    threads.end()
    client.settle()
    assert (client.sent, client.over, threads.work) == (sent, False, [])


def test_without_threads_it_goes_on_in_turns() -> None:
    threads = FakeThreads()
    threads.none = True
    client = Client(threads=threads)
    client.body.feed(BODY)
    client.body.end()
    client.settle()
    assert client.over
    assert client.decoded() == BODY


def test_an_encoder_that_fails_in_a_thread_is_in_the_log(logged_failures: Any) -> None:
    threads = FakeThreads()
    client = Client(threads=threads)
    client.body.feed(BODY)
    client.settle()
    threads.work[0] = (lambda: b"%d" % (1 // 0), threads.work[0][1])
    threads.end()
    assert logged_failures.flush(ZeroDivisionError)
    assert not client.over


@given(st.lists(st.one_of(st.binary(max_size=200), st.just(b"y" * 40_000), st.sampled_from(["turn", "hold", "go", "thread"])), max_size=16))
def test_the_body_arrives_whatever_happens_when_also_with_threads(steps: list[bytes | str]) -> None:
    threads = FakeThreads()
    client = Client(flush=len(steps) % 2 == 0, threads=threads)
    body = b""
    for step in steps:
        if isinstance(step, bytes):
            client.body.feed(step)
            body += step
        elif step == "turn":
            client.clock.advance(0)
        elif step == "hold":
            client.body.hold()
        elif step == "go":
            client.body.go_on()
        elif threads.work:
            threads.end()
    client.body.end()
    client.body.go_on()
    client.settle()
    while threads.work:
        threads.end()
        client.settle()
    assert client.over
    assert client.decoded() == body


@given(st.lists(st.one_of(st.binary(max_size=200), st.just(b"y" * 40_000), st.sampled_from(["turn", "hold", "go"])), max_size=12))
def test_the_body_arrives_whatever_happens_when(steps: list[bytes | str]) -> None:
    client = Client(flush=len(steps) % 2 == 0)
    body = b""
    for step in steps:
        if isinstance(step, bytes):
            client.body.feed(step)
            body += step
        elif step == "turn":
            client.clock.advance(0)
        elif step == "hold":
            client.body.hold()
        else:
            client.body.go_on()
    client.body.end()
    client.body.go_on()
    client.settle()
    assert client.over
    assert client.decoded() == body
