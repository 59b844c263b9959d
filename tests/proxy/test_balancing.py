"""Requests in a balancer that queues, retries, ejects and binds, with the test as its clients and as its servers."""

import json
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from scalability.http1.trace import Identifiers
from scalability.lifecycle import DeadlineWheel
from scalability.net.exchange import Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.net.limited_pool import LimitedPool
from scalability.proxy.application import ProxyApplication
from scalability.proxy.decisions import Decisions
from scalability.proxy.retrying import USUAL, RetryPolicy
from scalability.testing.memory import MemoryNetwork, MemoryTransport
from scalability.testing.retries import usual_retries
from scalability.upstream.breaker import BreakerPolicy
from scalability.upstream.breaker import State as BreakerState
from scalability.upstream.health import State as Health
from scalability.upstream.outlier import OutlierPolicy
from scalability.upstream.rules import UpstreamRules
from scalability.upstream.selection import ALGORITHMS
from scalability.upstream.server import Mode, Server
from scalability.upstream.servers import Upstream
from scalability.upstream.shedding import Shedding, SheddingPolicy
from scalability.upstream.spec import ServerSpec
from scalability.upstream.stickiness import Stickiness
from scalability.upstream.upkeep import Upkeep

GET = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\nbody"
PUT = POST.replace(b"POST", b"PUT")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
UNAVAILABLE = b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno"
BROKEN = b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno"
QUIET = UpstreamRules(fall=1000, panic_percent=0, outlier=OutlierPolicy(failures_in_a_row=0), breaker=BreakerPolicy(failure_percent=0))
"""Nothing takes a server out."""


class Balancer:
    """A balancer in memory. Its servers are named by the last part of their address: ``"1,maxconn=2"`` is 10.0.0.1."""

    def __init__(
        self,
        *servers: str,
        rules: UpstreamRules = QUIET,
        policy: RetryPolicy | None = None,
        algorithm: str = "round_robin",
        **more: Any,
    ) -> None:
        self.network = MemoryNetwork()
        self.network.advance(1000)
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()
        self.upstream = Upstream(
            partial(ALGORITHMS[algorithm], clock=self.network.seconds, random=Random(1).random),
            lambda spec: LimitedPool(self.network, spec.address, self.wheel),
            rules=rules,
            seconds=self.network.seconds,
        )
        self.name(*servers)
        self.upkeep = Upkeep(self.network, self.upstream)
        self.upkeep.startService()
        self.retries = usual_retries(self.network, *([] if policy is None else [policy]))
        self.application = ProxyApplication(
            self.upstream,
            via=b"lb",
            retries=self.retries,
            identifiers=Identifiers(bytes),
            decisions=Decisions(self.upstream, 1000),
            **more,
        )
        self.factory = HTTPServerFactory(self.application, clock=self.network, wheel=self.wheel, ended=self._note)
        self.ended: list[tuple[int, str, str]] = []

    def _note(self, exchange: Exchange, seconds: float) -> None:
        self.ended.append((exchange.status, exchange.served_by, exchange.trouble))

    def name(self, *servers: str) -> None:
        """These are all."""
        specs = []
        for text in servers:
            number, comma, options = text.partition(",")
            specs.append(ServerSpec.parse(f"10.0.0.{number}:80{comma}{options}"))
        self.upstream.name_servers("test", specs, trusted=True)
        for server in self.upstream:
            if server.health.state is Health.UNCHECKED:
                self.upstream.judge(server, True, "200")

    def server(self, number: int) -> Server:
        found = self.upstream.server_named(f"10.0.0.{number}:80")
        assert found is not None
        return found

    def send(self, request: bytes = GET) -> MemoryTransport:
        """A new client sends ``request``."""
        client = self.network.connect_to(self.factory)
        client.deliver(request)
        return client

    def accept(self, number: int = 0) -> MemoryTransport:
        """The oldest connection that is being made; it is to that server."""
        transport = self.network.accept()
        assert not number or transport.getPeer().host == f"10.0.0.{number}"
        return transport

    @property
    def asked(self) -> list[int]:
        """The servers to which connections are being made, oldest first."""
        return [int(attempt.host.rpartition(".")[2]) for attempt in self.network.attempts]

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.25)):
            self.network.advance(0.25)

    def idle(self) -> bool:
        """Nothing is in flight, waits, or takes a place."""
        servers = [*self.upstream, *self.upstream.leaving]
        return (
            all(server.active == 0 for server in servers)
            and not list(self.upstream.leaving)
            and self.factory.counts.active == 0
            and self.retries.budget.in_use == 0
            and len(self.upstream.line) == 0
            and not self.upstream.queueing
            and len(self.retries._line) == 0
        )


def status(client: MemoryTransport) -> int:
    """Of the only answer that ``client`` got; 0: none yet."""
    sent = client.taken()
    return int(sent[9:12]) if sent else 0


def failure(client: MemoryTransport) -> tuple[int, str]:
    head, _, body = client.taken().partition(b"\r\n\r\n")
    assert b"\r\nRetry-After: 1\r\n" in head + b"\r\n" or head[9:12] != b"503"
    return int(head[9:12]), json.loads(body)["error"]


# modes and weights


def test_a_draining_server_finishes_what_it_has_and_gets_nothing_new() -> None:
    balancer = Balancer("1", "2")
    client = balancer.send()
    first = balancer.accept(1)
    balancer.upstream.set_mode(balancer.server(1), Mode.DRAIN)
    for _ in range(3):
        balancer.send()
    assert balancer.asked == [2, 2, 2]
    first.deliver(OK)
    assert status(client) == 200


def test_maint_takes_nothing_and_ready_brings_a_server_back() -> None:
    balancer = Balancer("1")
    balancer.upstream.set_mode(balancer.server(1), Mode.MAINT)
    assert failure(balancer.send()) == (503, "no_server")
    balancer.upstream.set_mode(balancer.server(1), Mode.READY)
    client = balancer.send()
    balancer.accept(1).deliver(OK)
    assert status(client) == 200
    assert balancer.idle()


def test_a_weight_set_at_run_time_counts_for_the_next_requests() -> None:
    balancer = Balancer("1", "2")
    balancer.upstream.set_weight(balancer.server(1), 0)
    for _ in range(3):
        balancer.send()
    assert balancer.asked == [2, 2, 2]


# levels


def test_a_busy_primary_does_not_overflow_to_a_backup_and_a_down_one_does() -> None:
    balancer = Balancer("1,maxconn=1", "2,backup")
    clients = [balancer.send(), balancer.send()]
    assert balancer.asked == [1]
    assert len(balancer.upstream.line) == 1
    balancer.upstream.set_mode(balancer.server(1), Mode.MAINT)
    assert balancer.asked == [1, 2]
    balancer.accept(1).deliver(OK)
    balancer.accept(2).deliver(OK)
    assert [status(client) for client in clients] == [200, 200]
    assert balancer.idle()


def test_a_backup_gets_what_a_half_open_breaker_does_not_let_through() -> None:
    balancer = tripped("1", "2,backup")
    balancer.pass_time(11)
    for _ in range(5):
        balancer.send()
    assert balancer.asked == [1, 1, 1, 2, 2]
    assert len(balancer.upstream.line) == 0


# the queue


def test_requests_wait_for_a_place_first_come_first_served() -> None:
    balancer = Balancer("1,maxconn=1")
    clients = [balancer.send() for _ in range(3)]
    server = balancer.accept(1)
    answered = []
    for _ in range(3):
        server.deliver(OK)
        answered += [index for index, client in enumerate(clients) if status(client) == 200]
    assert answered == [0, 1, 2]
    assert balancer.server(1).requests == 3
    assert balancer.idle()


def test_nobody_overtakes_those_who_wait() -> None:
    balancer = Balancer("1,maxconn=1")
    first = balancer.send()
    waiting = balancer.send()
    first.deliver(GET)  # pipelined: it comes up the moment that the place is free
    server = balancer.accept(1)
    server.deliver(OK)
    assert status(first) == 200
    server.deliver(OK)
    assert status(waiting) == 200
    server.deliver(OK)
    assert status(first) == 200
    assert balancer.idle()


def test_the_queue_has_a_bound() -> None:
    balancer = Balancer("1,maxconn=1", rules=UpstreamRules(max_waiting=1))
    balancer.send()
    balancer.send()
    assert failure(balancer.send()) == (503, "overloaded")


def test_who_has_waited_too_long_is_answered_503_with_retry_after() -> None:
    balancer = Balancer("1,maxconn=1", rules=UpstreamRules(queue_timeout_s=2))
    first = balancer.send()
    waiting = balancer.send()
    balancer.pass_time(1.75)
    assert status(waiting) == 0
    balancer.pass_time(0.5)
    assert failure(waiting) == (503, "queue_timeout")
    balancer.accept(1).deliver(OK)
    assert status(first) == 200
    assert balancer.idle()


def test_a_client_that_leaves_while_it_waits_costs_no_place() -> None:
    balancer = Balancer("1,maxconn=1")
    balancer.send()
    leaving, staying = balancer.send(), balancer.send()
    leaving.reset()
    server = balancer.accept(1)
    server.deliver(OK)
    server.deliver(OK)
    assert status(staying) == 200
    assert balancer.server(1).requests == 2
    assert balancer.idle()


def test_rule_42_who_hangs_up_while_waiting_wants_no_answer() -> None:
    balancer = Balancer("1,maxconn=1")
    first = balancer.send()
    waiting = balancer.send()
    waiting.finish()
    assert waiting.ended == "reset"
    assert len(balancer.upstream.line) == 0
    first.finish()
    assert first.open, "it does not wait for a place: it may only have closed its side"
    balancer.accept(1).deliver(OK)
    assert status(first) == 200
    balancer.network.advance(0)
    assert balancer.idle()


def test_rule_42_a_half_close_is_none_of_that_once_the_wait_is_over() -> None:
    balancer = Balancer("1,maxconn=1")
    balancer.send()
    waiting = balancer.send()
    server = balancer.accept(1)
    server.deliver(OK)
    waiting.finish()
    server.deliver(OK)
    assert status(waiting) == 200


def test_a_server_that_joins_or_has_more_room_serves_those_who_wait() -> None:
    balancer = Balancer("1,maxconn=1")
    for _ in range(4):
        balancer.send()
    balancer.name("1,maxconn=2", "2,maxconn=1")
    assert sorted(balancer.asked) == [1, 1, 2]
    assert len(balancer.upstream.line) == 1
    balancer.upstream.set_mode(balancer.server(2), Mode.DRAIN)
    balancer.name("1,maxconn=3", "2,maxconn=1")
    assert len(balancer.upstream.line) == 0


def test_the_line_ends_at_once_when_no_server_is_left() -> None:
    balancer = Balancer("1,maxconn=1")
    first = balancer.send()
    waiting = [balancer.send() for _ in range(3)]
    balancer.name()
    assert [failure(client) for client in waiting] == [(503, "no_server")] * 3
    balancer.accept(1).deliver(OK)
    assert status(first) == 200
    assert balancer.idle()


def test_a_request_that_was_refused_where_there_is_room_waits_for_another_server_and_the_line_goes_on() -> None:
    balancer = Balancer("1,maxconn=1", "2,maxconn=1")
    first, second = balancer.send(), balancer.send()
    balancer.network.refuse()
    assert len(balancer.upstream.line) == 1, "the other server is full"
    balancer.accept(2).deliver(OK)
    assert status(second) == 200
    balancer.network.advance(0)
    assert status(first) == 0
    assert balancer.server(2).active == 1
    assert balancer.idle() is False


def test_the_first_in_line_goes_back_to_a_server_rather_than_to_keep_its_place_from_others() -> None:
    balancer = Balancer("1,maxconn=1", "2,maxconn=1")
    refused = balancer.send()
    balancer.send()
    balancer.network.refuse()
    behind = balancer.send()
    assert len(balancer.upstream.line) == 2
    balancer.name("1,maxconn=1", "2,maxconn=1")  # any event at all
    assert balancer.asked == [2, 1]
    balancer.accept(2).deliver(OK)
    assert len(balancer.upstream.line) == 0
    balancer.accept(1).deliver(OK)
    assert status(refused) == 200
    assert status(behind) in (0, 200)


def test_a_queued_body_follows_on_a_connection_that_was_there() -> None:
    balancer = Balancer("1,maxconn=1")
    balancer.send()
    waiting = balancer.send(POST[:-2])
    waiting.deliver(b"dy")
    server = balancer.accept(1)
    server.taken()
    server.deliver(OK)
    balancer.network.advance(0)
    assert server.taken().endswith(b"\r\n\r\nbody")
    server.deliver(OK)
    assert status(waiting) == 200
    assert balancer.idle()


# panic


def test_panic_begins_and_ends_with_the_threshold_and_is_told() -> None:
    balancer = Balancer("1", "2", "3", rules=UpstreamRules(fall=1))
    upstream = balancer.upstream
    for number in (1, 2):
        upstream.judge(balancer.server(number), True, "200")
        upstream.judge(balancer.server(number), False, "500")
    assert upstream.panicking
    for _ in range(3):
        balancer.send()
    assert sorted(balancer.asked) == [1, 2, 3]


# ejection


@pytest.mark.parametrize("fails", ["gateway error", "reset"])
def test_five_failures_in_a_row_eject_a_server_and_never_the_last(fails: str) -> None:
    balancer = Balancer("1", "2", rules=UpstreamRules(fall=1000), policy=RetryPolicy(retries=0))
    served: list[int] = []
    for _ in range(20):
        client = balancer.send()
        number = balancer.asked[0] if balancer.asked else 0
        served.append(number)
        server = balancer.accept()
        if fails == "reset":
            server.reset()
        else:
            server.deliver(UNAVAILABLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert status(client) in (502, 503)
    assert [server.ejected for server in balancer.upstream] == [True, False]
    assert served == [1, 2] * 4 + [1] + [2] * 11
    balancer.upstream.judge(balancer.server(1), True, "200")
    assert not balancer.server(1).ejected, "a passed check ends the first ejection"
    assert balancer.idle()


def test_an_answer_in_between_forgives_failures() -> None:
    balancer = Balancer("1", "2", rules=UpstreamRules(), policy=RetryPolicy(retries=0))
    balancer.upstream.set_weight(balancer.server(2), 0)
    client = balancer.send()
    server = balancer.accept(1)
    for answer in [UNAVAILABLE] * 4 + [BROKEN] + [UNAVAILABLE] * 4:
        server.deliver(answer)
        client.deliver(GET)
    assert not balancer.server(1).ejected


def test_an_ejection_ends_with_its_time() -> None:
    balancer = Balancer("1", "2", rules=UpstreamRules(), policy=RetryPolicy(retries=0))
    for _ in range(10):
        balancer.send()
        if balancer.asked[0] == 1:
            balancer.accept(1).reset()
        else:
            balancer.accept(2).deliver(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert balancer.server(1).ejected
    balancer.pass_time(29)
    assert balancer.server(1).ejected
    balancer.pass_time(2.5)
    assert not balancer.server(1).ejected


# breakers


def tripped(*servers: str, **more: Any) -> Balancer:
    """A balancer in which the breaker of server 1 has opened."""
    rules = UpstreamRules(fall=1000, panic_percent=0, outlier=OutlierPolicy(failures_in_a_row=0))
    balancer = Balancer(*servers, rules=rules, policy=RetryPolicy(retries=0), **more)
    for _ in range(20):
        client = balancer.send()
        balancer.accept(1).reset()
        assert failure(client) == (502, "no_answer")
    assert balancer.server(1).breaker.state is BreakerState.OPEN
    return balancer


def test_the_open_breaker_of_the_only_server_means_503_at_once() -> None:
    balancer = tripped("1")
    assert failure(balancer.send()) == (503, "no_server")
    assert balancer.idle()


def test_a_server_on_its_way_up_with_an_open_breaker_means_503_at_once_too() -> None:
    balancer = tripped("1")
    server = balancer.server(1)
    balancer.upstream.configure(UpstreamRules(fall=1, panic_percent=0))
    balancer.upstream.judge(server, True, "200")
    balancer.upstream.judge(server, False, "500")
    balancer.upstream.judge(server, True, "200")
    assert failure(balancer.send()) == (503, "no_server")


def test_a_half_open_breaker_lets_three_through_and_closes_when_they_succeed() -> None:
    balancer = tripped("1")
    balancer.pass_time(10.25)
    assert balancer.server(1).breaker.state is BreakerState.HALF_OPEN
    clients = [balancer.send() for _ in range(5)]
    assert balancer.asked == [1, 1, 1]
    for _ in range(3):
        balancer.accept(1).deliver(OK)
    assert balancer.server(1).breaker.state is BreakerState.CLOSED
    assert len(balancer.upstream.line) == 0
    while balancer.asked:
        balancer.accept(1).deliver(OK)
    assert [status(client) for client in clients[:3]] == [200] * 3


def test_a_failed_trial_opens_the_breaker_again() -> None:
    balancer = tripped("1")
    balancer.pass_time(10.25)
    balancer.send()
    balancer.accept(1).reset()
    assert balancer.server(1).breaker.state is BreakerState.OPEN
    balancer.pass_time(11)
    assert balancer.server(1).breaker.state is BreakerState.OPEN, "twice as long"


def test_trials_whose_clients_leave_or_that_are_refused_are_given_to_others() -> None:
    balancer = tripped("1")
    balancer.pass_time(10.25)
    for _ in range(3):
        balancer.send().reset()
    balancer.send()
    balancer.network.refuse()
    for _ in range(3):
        balancer.send()
    assert balancer.asked == [1, 1, 1]


def test_a_trial_that_becomes_a_tunnel_has_succeeded() -> None:
    balancer = tripped("1", upgrades=frozenset([b"websocket"]))
    balancer.pass_time(10.25)
    for _ in range(3):
        balancer.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        balancer.accept(1).deliver(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert balancer.server(1).breaker.state is BreakerState.CLOSED
    assert balancer.server(1).active == 3


# retries


@pytest.mark.parametrize(
    ("method", "reasons", "ending", "again"),
    [
        (b"GET", USUAL, "reset", True),
        (b"GET", frozenset({"bad_answer"}), "reset", False),
        (b"GET", USUAL, b"SSH-2.0\r\n\r\n", True),
        (b"GET", frozenset({"no_answer"}), b"SSH-2.0\r\n\r\n", False),
        (b"GET", USUAL, UNAVAILABLE, True),
        (b"GET", USUAL, BROKEN, False),
        (b"GET", frozenset({"server_error"}), BROKEN, True),
        (b"GET", frozenset({"no_answer"}), UNAVAILABLE, False),
        (b"GET", USUAL, "timeout", True),
        (b"GET", frozenset({"answer_timeout"}), "timeout", True),
        (b"GET", frozenset(), "reset", False),
        (b"PUT", USUAL, "reset", True),
        (b"POST", USUAL, "reset", False),
        (b"POST", USUAL, UNAVAILABLE, False),
        (b"POST", frozenset({"answer_timeout"}), "timeout", False),
    ],
)
def test_what_is_retried_is_a_matter_of_method_and_reason(method: bytes, reasons: frozenset[str], ending: str | bytes, again: bool) -> None:
    balancer = Balancer("1", "2", policy=RetryPolicy(reasons=reasons))
    client = balancer.send(GET if method == b"GET" else POST.replace(b"POST", method))
    server = balancer.accept(1)
    if ending == "timeout":
        balancer.pass_time(61)
    elif ending == "reset":
        server.reset()
    else:
        assert isinstance(ending, bytes)
        server.deliver(ending)
    assert balancer.asked == [2] * again
    if again:
        second = balancer.accept(2)
        assert (b"body" in second.taken()) is (method != b"GET")
        second.deliver(OK)
    assert (status(client) == 200) is again
    assert balancer.retries.count == again
    balancer.network.advance(0)
    assert balancer.idle()


def test_an_error_s_answer_is_passed_on_when_there_is_no_other_server_and_when_all_have_said_so() -> None:
    balancer = Balancer("1")
    client = balancer.send()
    balancer.accept(1).deliver(UNAVAILABLE.replace(b"503 Busy", b"503 Busy\r\nConnection: close"))
    assert client.taken().endswith(b"no")
    balancer.name("1", "2", "3", "4")
    client = balancer.send()
    for _ in range(3):
        assert client.taken() == b""
        balancer.accept().deliver(UNAVAILABLE)
    assert client.taken().endswith(b"no"), "two retries, and no more"
    assert balancer.asked == []
    assert balancer.idle()


def test_an_error_s_answer_that_has_not_ended_is_cut_off_when_another_server_is_asked() -> None:
    balancer = Balancer("1", "2")
    client = balancer.send()
    first = balancer.accept(1)
    first.deliver(UNAVAILABLE[:-1])
    assert first.ended == "reset"
    balancer.accept(2).deliver(OK)
    assert client.taken().endswith(b"hi")
    assert balancer.idle()


def test_a_body_goes_on_at_the_server_that_is_asked_instead_on_a_kept_connection() -> None:
    balancer = Balancer("1", "2")
    for _ in range(2):
        balancer.send()
        balancer.accept().deliver(OK)
    client = balancer.network.connect_to(balancer.factory)
    client.deliver(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab")
    first = next(iter(balancer.server(1).pool._open)).transport
    second = next(iter(balancer.server(2).pool._open)).transport
    first.stop_taking()
    first._producer.pauseProducing()
    assert not client.reading
    second.taken()
    client.deliver(b"cdef")
    first.deliver(UNAVAILABLE)
    balancer.network.advance(0)
    assert second.taken().endswith(b"\r\n\r\nabcdef")
    second.deliver(OK)
    assert client.taken().endswith(b"hi")
    assert balancer.idle()


def test_a_body_goes_on_after_a_refusal_at_a_server_with_a_kept_connection() -> None:
    balancer = Balancer("1")
    balancer.send()
    kept = balancer.accept(1)
    kept.deliver(OK)
    kept.taken()
    balancer.name("2", "1")
    client = balancer.network.connect_to(balancer.factory)
    while True:
        client.deliver(POST[:-2])
        if balancer.asked:
            break
        kept.taken()
        client.deliver(POST[-2:])
        kept.deliver(OK)
        client.taken()
        kept.taken()
    balancer.network.refuse()
    client.deliver(POST[-2:])
    balancer.network.advance(0)
    assert kept.taken().endswith(b"\r\n\r\nbody")


@pytest.mark.parametrize(("size", "again"), [(100, True), (101, False)])
def test_a_body_is_kept_to_be_sent_again_up_to_the_limit(size: int, again: bool) -> None:
    balancer = Balancer("1", "2", policy=RetryPolicy(max_body_bytes=100))
    client = balancer.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
    balancer.accept(1).reset()
    if again:
        second = balancer.accept(2)
        assert second.taken().endswith(b"\r\n\r\n" + bytes(size))
        second.deliver(OK)
    assert status(client) == (200 if again else 502)
    assert balancer.idle()


def test_retries_are_counted_and_the_second_has_a_pause_before_it() -> None:
    balancer = Balancer("1", "2", "3", "4")
    client = balancer.send()
    balancer.accept(1).reset()
    balancer.accept(2).reset()
    assert balancer.asked == []
    balancer.network.advance(0.0245)
    assert balancer.asked == []
    balancer.network.advance(0.001)
    balancer.accept(3).reset()
    assert failure(client) == (502, "no_answer")
    assert balancer.idle()


def test_a_client_that_leaves_during_the_pause_leaves_nothing_behind() -> None:
    balancer = Balancer("1", "2", "3")
    client = balancer.send()
    balancer.accept(1).reset()
    balancer.accept(2).reset()
    assert balancer.retries.budget.in_use == 1
    client.reset()
    balancer.network.advance(1)
    assert balancer.asked == []
    assert balancer.idle()


def test_a_retry_beyond_the_budget_waits_for_its_turn_and_succeeds() -> None:
    balancer = Balancer("1", "2")
    clients = [balancer.send() for _ in range(64)]
    connections = [balancer.accept() for _ in range(64)]
    dying = [each for each in connections if each.getPeer().host == "10.0.0.1"]
    assert len(dying) == 32
    for each in dying:
        each.reset()
    assert len(balancer.asked) == 12, "20 % of 64"
    assert balancer.retries.budget.in_use == 12
    for each in connections:
        each.taken()
    working = [each for each in connections if each not in dying]
    for each in working:
        each.deliver(OK)
    assert sum(client._sent == b"" for client in clients) == 32
    while balancer.asked or any(each._sent for each in working):
        assert balancer.retries.budget.in_use <= 12
        working += [balancer.accept(2) for _ in balancer.asked]
        for each in working:
            if each.taken():
                each.deliver(OK)
    assert [status(client) for client in clients] == [200] * 64
    assert balancer.idle()


def test_hundreds_that_wait_for_their_turn_fail_together_when_no_server_is_left() -> None:
    balancer = Balancer("1", "2")
    balancer.upstream.set_weight(balancer.server(2), 0)
    clients = [balancer.send() for _ in range(600)]
    connections = [balancer.accept(1) for _ in range(600)]
    balancer.upstream.set_weight(balancer.server(2), 1)
    for each in connections:
        each.reset()
    assert len(balancer.asked) == 120
    balancer.upstream.set_mode(balancer.server(2), Mode.MAINT)
    balancer.upstream.set_mode(balancer.server(1), Mode.MAINT)
    balancer.network.refuse()
    assert sum(failure(client) == (502, "no_answer") for client in clients if client.writes or client._sent) >= 480
    while balancer.asked:
        balancer.accept(2).deliver(OK)
    assert balancer.idle()


def test_the_only_server_that_had_closed_a_kept_connection_is_asked_again_even_if_somebody_waits_for_its_place() -> None:
    balancer = Balancer("1,maxconn=1")
    first = balancer.send()
    kept = balancer.accept(1)
    kept.deliver(OK)
    assert status(first) == 200
    first.deliver(GET)
    waiting = balancer.send()
    kept.reset()
    assert balancer.server(1).active == 1, "no more than maxconn"
    balancer.accept(1).deliver(OK)
    balancer.network.advance(0)
    assert [status(waiting), status(first)] == [200, 0]
    for transport in [each.transport for each in balancer.server(1).pool._open]:
        transport.deliver(OK)
    assert status(first) == 200
    assert balancer.idle()


def test_a_retry_that_becomes_a_tunnel_gives_its_place_in_the_budget_back() -> None:
    balancer = Balancer("1", "2", upgrades=frozenset([b"websocket"]))
    balancer.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    balancer.accept(1).reset()
    assert balancer.retries.budget.in_use == 1
    balancer.accept(2).deliver(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert balancer.retries.budget.in_use == 0


def test_requests_that_wait_on_a_server_that_goes_down_are_sent_elsewhere_and_posts_are_not() -> None:
    balancer = Balancer("1", "2", rules=UpstreamRules(fall=3))
    balancer.upstream.set_weight(balancer.server(2), 0)
    got, posted, begun = balancer.send(), balancer.send(POST), balancer.send()
    first, second, third = (balancer.accept(1) for _ in range(3))
    third.deliver(OK[:-1])
    balancer.upstream.set_weight(balancer.server(2), 1)
    balancer.upstream.judge(balancer.server(1), True, "200")
    for _ in range(3):
        balancer.upstream.judge(balancer.server(1), False, "timeout")
    assert (first.ended, second.ended, third.ended) == ("reset", "", "")
    balancer.accept(2).deliver(OK)
    assert status(got) == 200
    second.deliver(OK)
    third.deliver(OK[-1:])
    assert (status(posted), status(begun)) == (200, 200)
    assert balancer.idle()


# sticky clients

KEYS = (b"k" * 32,)
CLOSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"


def cookie_of(sent: bytes) -> bytes:
    assert sent.count(b"Set-Cookie") <= 1
    line = next((line for line in sent.split(b"\r\n") if line.startswith(b"Set-Cookie: ")), b"")
    return line.removeprefix(b"Set-Cookie: ").partition(b";")[0]


def bound(*servers: str, **more: Any) -> tuple[Balancer, bytes]:
    """A balancer, and the cookie that binds a client to its server 1."""
    balancer = Balancer(*servers, stickiness=Stickiness(KEYS), **more)
    client = balancer.send()
    balancer.accept(1).deliver(CLOSE)
    sent = client.taken()
    assert sent.endswith(b"\r\n\r\nhi")
    assert b"; Path=/; HttpOnly; SameSite=Lax\r\n" in sent
    return balancer, cookie_of(sent)


def with_cookie(cookie: bytes) -> bytes:
    return GET.replace(b"\r\n\r\n", b"\r\nCookie: a=b; " + cookie + b"\r\n\r\n")


def test_a_cookie_is_set_once_and_leads_back() -> None:
    balancer, cookie = bound("1", "2", "3")
    for _ in range(4):
        client = balancer.send(with_cookie(cookie))
        balancer.accept(1).deliver(CLOSE)
        assert cookie_of(client.taken()) == b""
    assert balancer.idle()


@pytest.mark.parametrize("how", ["maint", "down", "gone"])
def test_a_client_whose_server_is_out_is_bound_anew(how: str) -> None:
    balancer, cookie = bound("1", "2", rules=UpstreamRules(fall=1, panic_percent=0))
    server = balancer.server(1)
    if how == "maint":
        balancer.upstream.set_mode(server, Mode.MAINT)
    elif how == "gone":
        balancer.name("2")
    else:
        balancer.upstream.judge(server, True, "200")
        balancer.upstream.judge(server, False, "500")
    client = balancer.send(with_cookie(cookie))
    balancer.accept(2).deliver(CLOSE)
    assert cookie_of(client.taken()) not in (b"", cookie)


@pytest.mark.parametrize("how", ["drain", "weight 0"])
def test_a_server_that_takes_nothing_new_still_serves_the_clients_that_are_bound_to_it(how: str) -> None:
    balancer, cookie = bound("1", "2")
    if how == "drain":
        balancer.upstream.set_mode(balancer.server(1), Mode.DRAIN)
    else:
        balancer.upstream.set_weight(balancer.server(1), 0)
    client = balancer.send(with_cookie(cookie))
    balancer.accept(1).deliver(CLOSE)
    assert cookie_of(client.taken()) == b""
    balancer.send()
    assert balancer.asked == [2]


def test_a_client_whose_server_is_only_busy_goes_elsewhere_and_stays_bound() -> None:
    balancer, cookie = bound("1,maxconn=1", "2")
    balancer.send(with_cookie(cookie))
    client = balancer.send(with_cookie(cookie))
    assert balancer.asked == [1, 2]
    balancer.network.attempts.reverse()
    balancer.accept(2).deliver(CLOSE)
    assert cookie_of(client.taken()) == b""


def test_an_answer_without_a_request_s_name_gets_its_cookie_too() -> None:
    balancer = Balancer("1", stickiness=Stickiness(KEYS))
    balancer.application._identifiers = None
    client = balancer.send()
    balancer.accept(1).deliver(CLOSE)
    head, _, body = client.taken().partition(b"\r\n\r\n")
    assert head.count(b"Set-Cookie: ") == 1
    assert body == b"hi"


@pytest.mark.parametrize(("scheme", "secure"), [(b"http", False), (b"https", True)])
def test_a_cookie_goes_back_over_tls_alone_where_the_client_came_over_tls(scheme: bytes, secure: bool) -> None:
    balancer = Balancer("1", stickiness=Stickiness(KEYS))
    client = balancer.network.connect_to(balancer.factory)
    client.protocol.scheme = scheme
    client.deliver(GET)
    balancer.accept(1).deliver(OK)
    assert (b"; Secure\r\n" in client.taken()) is secure


def test_a_key_leads_to_the_same_server_after_a_wait_too() -> None:
    balancer = Balancer("1,maxconn=1", "2,maxconn=1", "3", algorithm="maglev", key_of=lambda exchange: exchange.head.target)
    while balancer.upstream.step():
        pass
    balancer.upstream.set_weight(balancer.server(3), 0)
    while balancer.upstream.step():
        pass
    home = {}
    for name in (b"/a", b"/b", b"/c", b"/d", b"/e", b"/f"):
        client = balancer.send(GET.replace(b"/a", name))
        home[name] = balancer.asked[0]
        balancer.accept().deliver(CLOSE)
        assert client.taken()
    assert set(home.values()) == {1, 2}
    for number in (1, 2):
        balancer.send(GET.replace(b"/a", next(name for name in home if home[name] == number)))
    taken = [balancer.accept() for _ in range(2)]
    waiting = next(name for name in home if home[name] == 2)
    balancer.send(GET.replace(b"/a", waiting))
    assert len(balancer.upstream.line) == 1
    balancer.network.advance(0)
    next(each for each in taken if each.getPeer().host == "10.0.0.2").deliver(CLOSE)
    assert balancer.asked == [2]


def test_why_a_request_went_where_it_went_is_remembered() -> None:
    balancer = Balancer("1,maxconn=1", "2", stickiness=Stickiness(KEYS))
    balancer.send()
    balancer.accept(1).deliver(UNAVAILABLE)
    balancer.accept(2).reset()
    explained = balancer.application.decisions
    assert explained is not None
    assert [(each["server"], each["reason"]) for each in explained.explain(b"0" * 32)] == [
        ("10.0.0.1:80", "chosen"),
        ("10.0.0.2:80", "status"),
    ]


# turning away


def test_what_is_shed_is_answered_503_overloaded() -> None:
    shedding = Shedding(SheddingPolicy())
    chances = iter([0.39, 0.4])
    balancer = Balancer("1", shedding=shedding, random=lambda: next(chances))
    for second in range(2):
        for sample in range(4):
            shedding.sampled(0.4, second * 2 + sample / 2)
    assert shedding.fraction >= 0.4
    shedding.fraction = 0.4
    assert failure(balancer.send()) == (503, "overloaded")
    balancer.send()
    assert balancer.asked == [1]
    assert shedding.shed == 1


def test_what_answers_for_itself_is_asked_of_each_head_but_the_last_one_again_and_is_never_shed() -> None:
    asked: list[bytes] = []

    def own(exchange: Exchange) -> bool:
        asked.append(exchange.head.target)
        if exchange.head.target != b"/own":
            return False
        exchange.answer(200, b"mine", b"text/plain")
        return True

    shedding = Shedding(SheddingPolicy())
    balancer = Balancer("1", own=own, shedding=shedding, random=lambda: 0.0)
    client = balancer.send(b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n")
    server = balancer.accept()
    server.deliver(OK)
    for target in (b"/a", b"/a", b"/own", b"/own", b"/a"):
        client.deliver(b"GET %b HTTP/1.1\r\nHost: shop\r\n\r\n" % target)
        if target == b"/a":
            server.deliver(OK)
        assert client.taken().endswith(b"mine") is (target == b"/own")
    assert asked == [b"/a", b"/own", b"/own", b"/a"]
    assert server.taken().count(b"GET /a HTTP/1.1") == 4
    shedding.fraction = 1.0
    assert failure(balancer.send()) == (503, "overloaded")
    assert balancer.send(b"GET /own HTTP/1.1\r\nHost: shop\r\n\r\n").taken().endswith(b"mine")


# whatever happens

ALL = ("1,maxconn=2", "2,maxconn=2", "3,maxconn=2,backup")
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
LONG = b"PUT /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n"
EVENTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 11)), min_size=10, max_size=80)


class Chaos:
    """Clients and servers that do what they are told, in whatever order."""

    def __init__(self, hedge_s: float, algorithm: str) -> None:
        self.balancer = Balancer(
            *ALL,
            rules=UpstreamRules(rise=1, fall=3, max_waiting=6, queue_timeout_s=2),
            stickiness=Stickiness(KEYS),
            hedge_s=hedge_s,
            algorithm=algorithm,
            upgrades=frozenset([b"websocket"]),
            key_of=lambda exchange: exchange.head.target,
        )
        self.clients: list[MemoryTransport] = []
        self.uploading: list[MemoryTransport] = []
        self.connections: list[MemoryTransport] = []

    def step(self, kind: int, at: int) -> None:
        balancer, network = self.balancer, self.balancer.network
        live = [each for each in self.connections if each.open]
        waiting = [client for client in self.clients if client.open]
        server = balancer.server(at % 3 + 1) if len(balancer.upstream) == 3 else next(iter(balancer.upstream))
        match kind:
            case 0 | 1 | 2:
                request = (GET, GET, PUT, POST)[at % 4]
                self.clients.append(balancer.send(request))
            case 3 if network.attempts:
                network.refuse()
            case 4 | 5 if network.attempts:
                self.connections.append(network.accept())
            case 6 | 7 if live:
                self._answer(live[at % len(live)], (OK, UNAVAILABLE, BROKEN, CLOSE)[at % 4])
            case 8 if live:
                live[at % len(live)].reset()
            case 9 if live:
                self._answer(live[at % len(live)], OK[:-1])
            case 10 if waiting:
                client = waiting[at % len(waiting)]
                if client.writes == 0:
                    (client.reset if at % 2 else client.finish)()
            case 11:
                network.advance(at / 4)
            case 12:
                balancer.upstream.set_mode(server, list(Mode)[at % 3])
            case 13:
                balancer.upstream.judge(server, bool(at % 4), "a check", unreachable=at == 8)
            case 14:
                balancer.name(*(ALL[:2] if at % 2 else ALL))
            case 15 if waiting and waiting[at % len(waiting)].writes:
                waiting[at % len(waiting)].deliver(GET)
            case 16:
                self.clients.append(balancer.send(LONG))
                self.uploading.append(self.clients[-1])
            case 17 if self.uploading:
                client = self.uploading[at % len(self.uploading)]
                client.deliver(b"1\r\nx\r\n" if at % 2 else b"0\r\n\r\n")
                if not at % 2:
                    self.uploading.remove(client)
            case 18:
                self.clients.append(balancer.send(UPGRADE))
            case 19 if live:
                self._answer(live[at % len(live)], SWITCHED)
            case 20:
                self.clients.append(balancer.send(GET + PUT + GET))

    def _answer(self, connection: MemoryTransport, answer: bytes) -> None:
        if connection.taken():
            connection.deliver(answer)

    def look(self) -> None:
        """What must always be so."""
        balancer = self.balancer
        for server in (*balancer.upstream, *balancer.upstream.leaving):
            assert 0 <= server.active <= 2
            assert server.ejected is (server in balancer.upstream.ejections)
        assert balancer.upstream.queueing is (len(balancer.upstream.line) > 0)
        assert len(balancer.upstream.line) <= 6
        active = balancer.factory.counts.active
        assert sum(server.active for server in (*balancer.upstream, *balancer.upstream.leaving)) <= 2 * active
        assert balancer.retries.budget.in_use <= 2 * active, "one retry and one second attempt for each"

    def end(self) -> None:
        """Every server is well again, and everything is answered."""
        balancer = self.balancer
        for client in self.uploading:
            client.deliver(b"0\r\n\r\n")
        balancer.name(*ALL)
        for server in balancer.upstream:
            balancer.upstream.set_mode(server, Mode.READY)
            balancer.upstream.judge(server, True, "200")
            balancer.upstream.judge(server, True, "200")
        for _ in range(300):
            for each in (*self.clients, *self.connections):
                if getattr(each.protocol, "_tunnel", None) or getattr(each.protocol, "_tunnelled", False):
                    each.finish()
            while balancer.network.attempts:
                self.connections.append(balancer.network.accept())
            for connection in self.connections:
                if connection.open:
                    self._answer(connection, OK)
            balancer.network.advance(0.25)


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.sampled_from([0.0, 0.5]), st.sampled_from(sorted(ALGORITHMS)))
def test_whatever_happens_each_request_is_answered_once_and_nothing_leaks(
    events: list[tuple[int, int]], hedge_s: float, algorithm: str
) -> None:
    chaos = Chaos(hedge_s, algorithm)
    for kind, at in events:
        chaos.step(kind, at)
        chaos.look()
    chaos.end()
    balancer = chaos.balancer
    event(algorithm)
    assert balancer.idle()
    assert len(balancer.ended) == balancer.factory.counts.begun
    for client in chaos.clients:
        answers = client.taken().count(b"HTTP/1.1 ")
        if client.open:
            assert answers >= 1


def test_requests_wait_in_line_for_a_connection_that_may_be_made() -> None:
    balancer = Balancer("1,max_connections=2", rules=UpstreamRules(max_waiting=1))
    first, second, third, fourth = (balancer.send() for _ in range(4))
    one, two = balancer.accept(1), balancer.accept(1)
    assert balancer.upstream.line.greatest == 1
    assert b" 503 " in fourth.taken()
    one.deliver(OK)
    assert b" 200 " in first.taken()
    one.deliver(OK)
    assert b" 200 " in third.taken()
    two.deliver(OK)
    assert b" 200 " in second.taken()
    (server,) = balancer.upstream
    assert server.pool.connects == 2
    balancer.name("1,max_connections=1")
    assert server.max_active == 1
