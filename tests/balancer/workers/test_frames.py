"""Messages between processes, however their bytes are cut."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.balancer.workers.frames import LIMIT, FrameError, Frames, frame


class Word(msgspec.Struct, tag="word"):
    text: str


class Number(msgspec.Struct, tag="number"):
    value: int


Message = Word | Number
DECODER: "msgspec.json.Decoder[Message]" = msgspec.json.Decoder(Message)

MESSAGES = st.lists(st.one_of(st.builds(Word, st.text()), st.builds(Number, st.integers(-(2**60), 2**60))), max_size=6)


def frames() -> Frames[Message]:
    return Frames(DECODER)


@given(MESSAGES, st.lists(st.integers(min_value=0, max_value=200), max_size=20))
def test_any_cut_gives_the_same_messages(messages: list[Message], cuts: list[int]) -> None:
    data = b"".join(map(frame, messages))
    reader = frames()
    got: list[Message] = []
    begin = 0
    for cut in sorted(cuts):
        got += reader.feed(data[begin:cut])
        begin = max(begin, cut)
    got += reader.feed(data[begin:])
    assert got == messages


def test_byte_by_byte_too() -> None:
    messages: list[Message] = [Word("a"), Number(3), Word("ä" * 50)]
    reader = frames()
    got = [message for byte in b"".join(map(frame, messages)) for message in reader.feed(bytes([byte]))]
    assert got == messages


def test_a_message_that_is_announced_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(FrameError, match="announced"):
        list(frames().feed((LIMIT + 1).to_bytes(4)))


def test_a_message_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(FrameError):
        frame(Word("x" * LIMIT))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"type": "other"}', b'{"type": "number", "value": "x"}', b"\xff"])
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(FrameError):
        list(frames().feed(len(body).to_bytes(4) + body))


def test_what_came_before_a_bad_message_was_handed_out() -> None:
    coming = frames().feed(frame(Word("good")) + b"\0\0\0\1x")
    assert next(coming) == Word("good")
    with pytest.raises(FrameError):
        next(coming)
