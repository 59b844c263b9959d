"""The raw client: answers cut anywhere, failures by class, connections shared."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone, ConnectionLost, NoRouteError
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure as TwistedFailure

from scalability.config import Address
from scalability.lab.loadgen.connection import Connection, Pool
from scalability.lab.loadgen.recorder import Failure

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


class Transport(StringTransport):
    """Also remembers how it was closed."""

    aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()


class Asker:
    """A user that sends as soon as it has a connection."""

    def __init__(self, method: bytes = b"GET") -> None:
        self.method = method
        self.connections: list[Connection] = []
        self.heard: list[tuple[int, int] | Failure] = []

    def connected(self, connection: Connection) -> None:
        self.connections.append(connection)
        connection.send(self.method, self.method + b" / HTTP/1.1\r\n\r\n", self)

    def answered(self, status: int, size: int) -> None:
        self.heard.append((status, size))

    def failed(self, why: Failure) -> None:
        self.heard.append(why)


class Net:
    """A pool whose connections the test makes, answers and breaks."""

    def __init__(self, size: int = 1, *, keep_alive: bool = True) -> None:
        self.reactor = MemoryReactorClock()
        self.pool = Pool(self.reactor, Address("127.0.0.1", 80), size=size, keep_alive=keep_alive)
        self.transports: list[Transport] = []
        self.protocols: list[Any] = []

    @property
    def attempts(self) -> list[Any]:
        """Each (host, port, factory, ...) that was connected to."""
        found: list[Any] = self.reactor.tcpClients
        return found

    def accept(self, index: int = -1) -> None:
        protocol: Any = self.attempts[index][2].buildProtocol(None)
        self.transports.append(Transport())
        self.protocols.append(protocol)
        protocol.makeConnection(self.transports[-1])

    def refuse(self, reason: Exception, index: int = -1) -> None:
        self.attempts[index][2].clientConnectionFailed(None, TwistedFailure(reason))

    def ask(self, method: bytes = b"GET") -> Asker:
        asker = Asker(method)
        self.pool.acquire(asker)
        return asker

    def answer(self, data: bytes, index: int = -1) -> None:
        self.protocols[index].dataReceived(data)

    def lose(self, *, cleanly: bool = True, index: int = -1) -> None:
        self.protocols[index].connectionLost(TwistedFailure(ConnectionDone() if cleanly else ConnectionLost()))


def heard(*answers: bytes, method: bytes = b"GET") -> list[tuple[int, int] | Failure]:
    """What the user of a fresh connection hears when these pieces arrive."""
    net = Net()
    asker = net.ask(method)
    net.accept()
    for data in answers:
        net.answer(data)
    return asker.heard


def test_a_connection_is_opened_used_and_used_again() -> None:
    net = Net()
    first = net.ask()
    net.accept()
    assert net.transports[0].value() == b"GET / HTTP/1.1\r\n\r\n"
    net.answer(OK)
    assert first.heard == [(200, 5)]
    second = net.ask()
    assert second.connections == first.connections
    net.answer(OK)
    assert second.heard == [(200, 5)]
    assert net.pool.opened_total == 1


@given(st.sampled_from([OK, CHUNKED, b"HTTP/1.1 100 Continue\r\n\r\n" + OK]), st.lists(st.integers(1, 90), max_size=6))
def test_an_answer_may_be_cut_anywhere(answer: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(answer)) for cut in cuts), len(answer)]
    pieces = [answer[a:b] for a, b in itertools.pairwise(edges) if a < b]
    assert heard(*pieces) == [(200, 5)]


def test_every_byte_alone_is_the_same_answer() -> None:
    assert heard(*(CHUNKED[i : i + 1] for i in range(len(CHUNKED)))) == [(200, 5)]


def test_the_memory_of_the_last_answer_never_changes_what_is_heard() -> None:
    other = OK.replace(b"200 OK", b"500 No")
    net = Net()
    askers = []
    for number, answer in enumerate([OK, OK, other, other, OK, CHUNKED, CHUNKED]):
        askers.append(net.ask())
        if not number:
            net.accept()
        net.answer(answer)
    assert [asker.heard for asker in askers] == [[(200, 5)]] * 2 + [[(500, 5)]] * 2 + [[(200, 5)]] * 3


def test_the_same_bytes_mean_another_thing_to_another_method() -> None:
    net = Net()
    head = net.ask(b"HEAD")
    net.accept()
    net.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    get = net.ask()
    net.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    assert (head.heard, get.heard) == ([(200, 0)], [])
    net.answer(b"hello")
    assert get.heard == [(200, 5)]


def test_answers_without_a_body_are_complete_with_their_head() -> None:
    assert heard(b"HTTP/1.1 204 No Content\r\n\r\n") == [(204, 0)]
    assert heard(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n") == [(304, 0)]


def test_a_body_may_end_with_its_connection() -> None:
    net = Net()
    asker = net.ask()
    net.accept()
    net.answer(b"HTTP/1.0 200 OK\r\n\r\nabc")
    assert asker.heard == []
    net.lose()
    assert asker.heard == [(200, 3)]


def test_a_body_that_a_reset_ends_is_truncated() -> None:
    net = Net()
    asker = net.ask()
    net.accept()
    net.answer(b"HTTP/1.0 200 OK\r\n\r\nabc")
    net.lose(cleanly=False)
    assert asker.heard == [Failure.TRUNCATED]


@pytest.mark.parametrize("start", [OK[:4], OK[:-1], CHUNKED[:-1]])
@pytest.mark.parametrize("cleanly", [True, False])
def test_a_connection_that_ends_within_an_answer_truncates_it(start: bytes, cleanly: bool) -> None:
    net = Net()
    asker = net.ask()
    net.accept()
    net.answer(start)
    net.lose(cleanly=cleanly)
    assert asker.heard == [Failure.TRUNCATED]


@pytest.mark.parametrize(("cleanly", "failure"), [(True, Failure.CLOSED), (False, Failure.RESET)])
def test_a_connection_that_ends_before_an_answer_is_closed_or_reset(cleanly: bool, failure: Failure) -> None:
    net = Net()
    asker = net.ask()
    net.accept()
    net.lose(cleanly=cleanly)
    assert asker.heard == [failure]
    assert net.pool.open_connections == 0


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_bad_answer(nonsense: bytes) -> None:
    assert heard(nonsense) == [Failure.BAD_ANSWER]


def test_an_answer_that_says_close_ends_its_connection() -> None:
    net = Net()
    asker = net.ask()
    net.accept()
    net.answer(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert asker.heard == [(200, 5)]
    assert net.transports[0].disconnecting
    net.ask()
    assert len(net.attempts) == 2


def test_bytes_after_the_answer_end_the_connection_and_not_the_request() -> None:
    net = Net()
    asker = net.ask()
    net.accept()
    net.answer(OK + b"more")
    assert asker.heard == [(200, 5)]
    assert net.pool.open_connections == 0


def test_bytes_that_nobody_asked_for_end_an_idle_connection() -> None:
    net = Net()
    net.ask()
    net.accept()
    net.answer(OK)
    net.answer(OK)
    assert net.transports[0].aborted
    assert net.pool.open_connections == 0


def test_without_keep_alive_each_request_has_a_connection_of_its_own() -> None:
    net = Net(keep_alive=False)
    for _ in range(2):
        asker = net.ask()
        net.accept()
        net.answer(OK)
        assert asker.heard == [(200, 5)]
    assert net.pool.opened_total == 2
    assert all(transport.disconnecting for transport in net.transports)


@pytest.mark.parametrize(("reason", "failure"), [(Refused(), Failure.REFUSED), (NoRouteError(), Failure.NOT_CONNECTED)])
def test_a_connection_that_is_not_made_is_refused_or_not_connected(reason: Exception, failure: Failure) -> None:
    net = Net()
    asker, waiting = net.ask(), net.ask()
    net.refuse(reason)
    assert asker.heard == [failure]
    net.accept()
    net.answer(OK)
    assert waiting.heard == [(200, 5)]


def test_users_share_connections_in_the_order_in_which_they_came() -> None:
    net = Net(size=1)
    askers = [net.ask() for _ in range(3)]
    assert len(net.attempts) == 1
    net.accept()
    for asker in askers:
        assert asker.connections
        net.answer(OK)
        assert asker.heard == [(200, 5)]


def test_a_broken_connection_makes_room_for_the_next_user() -> None:
    net = Net(size=1)
    first, second = net.ask(), net.ask()
    net.accept()
    net.lose(cleanly=False)
    assert first.heard == [Failure.RESET]
    net.accept()
    net.answer(OK)
    assert second.heard == [(200, 5)]


def test_a_user_may_leave_the_queue_or_a_connection_that_is_being_made() -> None:
    net = Net(size=1)
    first, second, third = net.ask(), net.ask(), net.ask()
    net.pool.leave(second)
    net.pool.leave(first)
    assert len(net.attempts) == 2, "the third has its turn"
    net.accept(0)
    assert net.transports[0].aborted, "nobody waits for this one any more"
    net.refuse(Refused(), 0)
    net.accept(1)
    net.answer(OK)
    assert (first.heard, second.heard, third.heard) == ([], [], [(200, 5)])
    net.pool.leave(second)


def test_a_user_that_gives_up_aborts_its_connection() -> None:
    net = Net()
    asker = net.ask()
    net.accept()
    asker.connections[0].abort()
    net.lose(cleanly=False)
    assert asker.heard == []
    assert net.pool.open_connections == 0


def test_closing_the_pool_closes_everything_and_calls_nobody_back() -> None:
    net = Net(size=3)
    done, busy, opening = net.ask(), net.ask(), net.ask()
    net.accept(0)
    net.answer(OK, 0)
    net.accept(1)
    net.pool.close()
    net.accept(2)
    assert net.transports[0].disconnecting
    assert net.transports[1].aborted
    assert net.transports[2].aborted
    assert (done.heard, busy.heard, opening.heard) == ([(200, 5)], [], [])


def test_closing_the_pool_forgets_who_waits() -> None:
    net = Net(size=1)
    busy, waiting = net.ask(), net.ask()
    net.accept()
    net.pool.close()
    assert len(net.attempts) == 1
    assert (busy.heard, waiting.heard) == ([], [])
