"""A wire on its own: a socket that does as it is told, and a connection that remembers what it hears."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet.error import ConnectionDone, ConnectionLost

from scalability.net.wire import READ_BYTES, SEND_SOON_BYTES, SMALL_READ_BYTES, Wire


class Plug:
    """A socket: ``next`` is what its calls give, exceptions raised."""

    def __init__(self) -> None:
        self.next: list[Any] = []
        self.sent: list[bytes] = []
        self.asked: list[int] = []

    def recv(self, size: int) -> bytes:
        self.asked.append(size)
        return cast(bytes, self._do())

    def send(self, data: bytes) -> int:
        self.sent.append(data)
        return cast(int, self._do() if self.next else len(data))

    def _do(self) -> Any:
        outcome = self.next.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class Told:
    """The connection's place."""

    def __init__(self, unsent: list[Wire] | None) -> None:
        self.reactor = SimpleNamespace() if unsent is None else SimpleNamespace(unsent=unsent)
        self.got: list[bytes] = []
        self.events: list[object] = []

    def read_ended(self) -> BaseException:
        return ConnectionDone()

    def read_more(self) -> None:
        self.events.append("more")

    def write_carefully(self, data: bytes) -> None:
        self.events.append(("carefully", data))

    def send_refused(self, data: bytes, sent: int) -> None:
        self.events.append(("refused", data, sent))

    def send_failed(self) -> None:
        self.events.append("failed")


def wired(*, lean: bool = True) -> tuple[Wire, Plug, Told, list[Wire]]:
    unsent: list[Wire] = []
    plug, told = Plug(), Told(unsent if lean else None)
    wire = Wire(told, cast(Any, plug), told.got.append, accepted=True)
    wire.direct = True
    return wire, plug, told, unsent


def test_what_comes_is_handed_on_and_the_end_is_told_with_its_reason() -> None:
    wire, plug, told, _ = wired()
    plug.next = [b"data", BlockingIOError(), InterruptedError()]
    assert [wire.read() for _ in range(3)] == [None] * 3
    assert told.got == [b"data"]
    plug.next = [b"", ConnectionResetError()]
    assert isinstance(wire.read(), ConnectionDone)
    assert isinstance(wire.read(), ConnectionLost)


def test_a_full_buffer_means_that_there_may_be_more() -> None:
    wire, plug, told, _ = wired()
    plug.next = [bytes(READ_BYTES - 1), bytes(READ_BYTES)]
    wire.read()
    assert told.events == []
    wire.read()
    assert told.events == ["more"]
    assert len(told.got) == 2


def test_as_much_as_was_asked_for_ends_small_reads() -> None:
    wire, plug, told, _ = wired()
    wire.read_bytes = SMALL_READ_BYTES
    plug.next = [bytes(SMALL_READ_BYTES - 1), bytes(SMALL_READ_BYTES), b"rest"]
    wire.read()
    assert told.events == []
    wire.read()
    wire.read()
    assert told.events == ["more"]
    assert plug.asked == [SMALL_READ_BYTES, SMALL_READ_BYTES, READ_BYTES]


def test_what_an_answering_receiver_returns_is_written() -> None:
    wire, plug, _, unsent = wired()
    wire.received = {b"ask": b"answer", b"silent": None}.get
    wire.answering = True
    plug.next = [b"silent", b"ask"]
    wire.read()
    assert unsent == []
    wire.read()
    assert (wire.held, unsent) == (b"answer", [wire])


def test_what_others_return_is_not() -> None:
    wire, plug, _, unsent = wired()
    wire.received = lambda data: data
    plug.next = [b"data"]
    wire.read()
    assert (wire.held, unsent) == (b"", [])


def test_a_small_write_waits_for_the_end_of_the_turn() -> None:
    wire, plug, _, unsent = wired()
    wire.write(b"small")
    assert (plug.sent, unsent) == ([], [wire])
    wire.send_held()
    wire.send_held()
    assert plug.sent == [b"small"]


@pytest.mark.parametrize("why", ["held", "not direct", "large", "another reactor"])
def test_what_cannot_just_be_held_is_the_connection_s(why: str) -> None:
    wire, plug, told, _ = wired(lean=why != "another reactor")
    if why == "held":
        wire.write(b"first")
    wire.direct = why != "not direct"
    data = bytes(SEND_SOON_BYTES) if why == "large" else b"second"
    wire.write(data)
    assert told.events == [("carefully", data)]
    assert plug.sent == []


def test_the_connection_hears_what_the_kernel_does_not_take() -> None:
    wire, plug, told, _ = wired()
    for outcome in (BlockingIOError(), InterruptedError(), 2, BrokenPipeError()):
        plug.next = [outcome]
        wire.write(b"data")
        wire.send_held()
        assert wire.held == b""
    assert told.events == [("refused", b"data", 0), ("refused", b"data", 0), ("refused", b"data", 2), "failed"]
