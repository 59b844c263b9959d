"""Bodies are encoded a piece a turn, flushed where somebody may wait, and held back where nobody reads."""

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from scalability.gateway.transform.codings import ENCODERS, PIECE_BYTES
from scalability.gateway.transform.encoded_body import MAX_WAITING_BYTES, EncodedBody
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


class Client:
    def __init__(self, *, flush: bool = False) -> None:
        self.clock = Slow()
        self.sent = b""
        self.over = False
        self.heard: list[str] = []
        self.body = EncodedBody(
            ENCODERS[b"gzip"](),
            Turns(self.clock),
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
