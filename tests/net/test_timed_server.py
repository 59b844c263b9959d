"""When what came: phases, bytes, and what was no request."""

from scalability.errors import ScalelabError
from scalability.lifecycle import DeadlineWheel
from scalability.net.exchange import Exchange
from scalability.net.timed_server import TimedConnection, TimedExchange, TimedServerFactory
from scalability.testing.memory import MemoryNetwork

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Bench:
    """A server whose exchanges the test answers."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.network.advance(1000)
        self.asked: list[TimedExchange] = []
        self.over: list[TimedExchange] = []
        self.received: list[int] = []
        self.refusals: list[tuple[TimedConnection, ScalelabError]] = []
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()
        self.factory = TimedServerFactory(self, clock=self.network, wheel=self.wheel, ended=self._ended)
        self.factory.refused = lambda connection, error: self.refusals.append((connection, error))
        self.client = self.network.connect_to(self.factory)

    def request_received(self, exchange: Exchange) -> None:
        assert isinstance(exchange, TimedExchange)
        exchange.receiver = self
        self.asked.append(exchange)

    def _ended(self, exchange: Exchange, seconds: float) -> None:
        assert isinstance(exchange, TimedExchange)
        self.over.append(exchange)
        self.received.append(exchange.timed_connection.take_received_bytes())

    def body_received(self, data: bytes, ended: bool) -> None: ...
    def client_lost(self, error: ScalelabError) -> None: ...
    def client_full(self) -> None: ...
    def client_ready(self) -> None: ...


def test_the_first_request_says_how_long_its_connection_was_silent_and_how_long_its_head_took() -> None:
    bench = Bench()
    bench.network.advance(2)
    bench.client.deliver(GET[:5])
    bench.network.advance(0.5)
    bench.client.deliver(GET[5:])
    (exchange,) = bench.asked
    assert (exchange.accept_s, exchange.head_s) == (2, 0.5)


def test_later_requests_say_only_how_long_their_heads_took() -> None:
    bench = Bench()
    bench.network.advance(1)
    bench.client.deliver(GET)
    bench.asked[0].answer(200, b"")
    bench.network.advance(7)
    bench.client.deliver(GET[:5])
    bench.network.advance(0.25)
    bench.client.deliver(GET[5:])
    assert (bench.asked[1].accept_s, bench.asked[1].head_s) == (0, 0.25)


def test_a_head_that_had_come_before_its_turn_took_no_time() -> None:
    bench = Bench()
    bench.client.deliver(GET + GET)
    bench.network.advance(3)
    bench.asked[0].answer(200, b"")
    assert (bench.asked[1].accept_s, bench.asked[1].head_s) == (0, 0)


def test_received_bytes_are_those_of_the_request_alone() -> None:
    bench = Bench()
    upload = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    bench.client.deliver(upload[:-4])
    bench.client.deliver(upload[-4:] + GET)
    bench.asked[0].answer(200, b"")
    bench.asked[1].answer(200, b"")
    assert bench.received == [len(upload), len(GET)]


def test_what_is_no_request_is_told_with_its_error() -> None:
    bench = Bench()
    bench.client.deliver(b"nonsense\r\n\r\n")
    ((connection, error),) = bench.refusals
    assert error.status == 400
    assert connection.take_received_bytes() == 12
    assert not bench.over


def test_a_request_whose_body_breaks_is_told_once_with_the_status_that_the_client_got() -> None:
    bench = Bench()
    bench.client.deliver(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    bench.client.deliver(b"zz\r\n")
    (exchange,) = bench.over
    assert (exchange.status, exchange.trouble) == (400, "bad_request")
    assert not bench.refusals
    assert bench.client.taken().startswith(b"HTTP/1.1 400 ")


def test_an_exchange_that_is_cut_off_for_no_error_says_so() -> None:
    bench = Bench()
    bench.client.deliver(GET)
    bench.asked[0].abort()
    assert bench.over[0].trouble == "aborted"
