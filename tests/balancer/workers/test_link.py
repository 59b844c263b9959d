"""One end of the link: messages in, messages out, no more waiting than its bound."""

from typing import Any

import pytest
from twisted.internet.address import IPv4Address

from scalability.balancer.workers.frames import frame
from scalability.balancer.workers.link import Link
from scalability.balancer.workers.messages import TO_WORKER, Collect, Health
from scalability.testing.memory import MemoryNetwork, MemoryTransport


class End:
    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.received: list[Any] = []
        self.happened: list[str] = []
        self.link: Link[Any] = Link(
            TO_WORKER, self.received.append, lambda: self.happened.append("lost"), lambda: self.happened.append("ready")
        )
        self.transport = MemoryTransport(self.link, self.network, IPv4Address("TCP", "192.0.2.1", 1))
        self.link.makeConnection(self.transport)


def test_messages_go_both_ways() -> None:
    end = End()
    end.transport.deliver(frame(Collect(1)) + frame(Collect(2))[:3])
    end.transport.deliver(frame(Collect(2))[3:])
    assert end.received == [Collect(1), Collect(2)]
    end.link.send(Collect(3))
    assert end.transport.taken() == frame(Collect(3))


def test_it_is_full_while_the_other_side_does_not_read_and_says_when_it_does() -> None:
    end = End()
    end.transport.stop_taking()
    end.link.send(Health("x" * 70_000))
    assert end.link.full
    assert end.happened == []
    end.transport.take_all()
    assert not end.link.full
    assert end.happened == ["ready"]


def test_bytes_that_are_no_message_end_it() -> None:
    end = End()
    end.transport.deliver(b"\0\0\0\1?")
    end.network.advance(0)
    assert end.transport.ended == "reset"
    assert end.happened == ["lost"]


def test_nothing_is_sent_on_a_link_that_is_lost() -> None:
    end = End()
    end.transport.reset()
    end.link.send(Collect(1))
    end.link.close()
    assert end.transport.taken() == b""
    assert end.happened == ["lost"]


@pytest.mark.parametrize("waiting", [False, True])
def test_closing_waits_until_all_is_sent(waiting: bool) -> None:
    end = End()
    if waiting:
        end.transport.stop_taking()
    end.link.send(Collect(1))
    end.link.close()
    end.transport.take_all()
    end.network.advance(0)
    assert end.transport.taken() == frame(Collect(1))
    assert end.happened == ["lost"]
