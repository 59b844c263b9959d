"""Servers come, go, are judged and chosen."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from scalability.config import Address
from scalability.errors import (
    NoAnswer,
    NoServer,
    Overloaded,
    ServersBusy,
)
from scalability.net.connection_pool import ConnectionPool
from scalability.testing.upstreams import (
    A,
    B,
    C,
    FakePool,
    Stopwatch,
    chosen,
    closed,
    failing,
    logged,
    ruled,
    server_of,
    specs,
    upstream_of,
)
from scalability.upstream.breaker import BreakerPolicy
from scalability.upstream.health import State
from scalability.upstream.outlier import OutlierPolicy
from scalability.upstream.rules import UpstreamRules
from scalability.upstream.selection import RoundRobin
from scalability.upstream.selection.least_connections import LeastConnections
from scalability.upstream.selection.maglev import Maglev
from scalability.upstream.server import Mode, Server
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec


def test_configured_servers_take_turns_before_their_first_check() -> None:
    assert chosen(upstream_of(A, B), 4) == [A, B, A, B]


def test_weights_are_shares() -> None:
    names = chosen(upstream_of(f"{A},weight=3", B), 8)
    assert (names.count(A), names.count(B)) == (6, 2)


def test_without_servers_there_is_none_to_choose() -> None:
    upstream = upstream_of()
    with pytest.raises(NoServer) as error:
        upstream.choose()
    assert (error.value.status, error.value.retry_after_s) == (503, 1)
    assert upstream.not_ready() == "no server is known"


def test_a_server_that_is_down_is_not_chosen_and_is_again_when_it_is_up() -> None:
    upstream = upstream_of(A, B)
    a = server_of(upstream, A)
    upstream.judge(a, False, "it was refused")
    assert chosen(upstream, 2) == [B, B]
    assert a.last_check == "it was refused"
    assert a.counts.went_down == 1
    upstream.judge(a, True, "200")
    assert set(chosen(upstream, 2)) == {A, B}


def test_a_server_on_its_way_up_takes_traffic_while_there_is_no_other() -> None:
    upstream = upstream_of(A, B)
    upstream.configure(UpstreamRules(panic_percent=0))
    a, b = upstream
    for server in (a, b):
        upstream.judge(server, True, "200")
        for _ in range(3):
            upstream.judge(server, False, "500")
    with pytest.raises(NoServer):
        upstream.choose()
    upstream.judge(a, True, "200")
    assert a.health.state is State.RISING
    assert chosen(upstream, 2) == [A, A]
    assert upstream.not_ready() is not None
    upstream.judge(b, True, "200")
    upstream.judge(b, True, "200")
    assert chosen(upstream, 2) == [B, B]
    assert upstream.choose({b}) is a
    upstream.judge(a, False, "500")
    with pytest.raises(NoServer):
        upstream.choose({b})


def test_ready_means_that_a_check_has_passed() -> None:
    upstream = upstream_of(A, B)
    assert upstream.not_ready() == "no server is healthy"
    upstream.judge(server_of(upstream, A), True, "200")
    assert upstream.not_ready() is None
    for _ in range(3):
        upstream.judge(server_of(upstream, A), False, "500")
    assert upstream.not_ready() == "no server is healthy"


def test_a_server_of_weight_0_makes_nothing_ready() -> None:
    upstream = upstream_of()
    upstream.name_servers("configuration", [ServerSpec(Address.parse(A), 0)], trusted=True)
    upstream.judge(server_of(upstream, A), True, "200")
    assert upstream.not_ready() is not None
    with pytest.raises(NoServer):
        upstream.choose()


def test_tried_servers_are_not_chosen_again() -> None:
    upstream = upstream_of(A, B)
    tried = {server_of(upstream, A)}
    assert upstream.choose(tried).name == B
    tried.add(server_of(upstream, B))
    with pytest.raises(NoServer):
        upstream.choose(tried)


def test_a_discovered_server_takes_traffic_after_one_passed_check() -> None:
    upstream = upstream_of(A, trusted=False)
    with pytest.raises(NoServer):
        upstream.choose()
    upstream.judge(server_of(upstream, A), True, "200")
    assert chosen(upstream, 1) == [A]


def test_a_late_result_about_a_removed_server_changes_nothing() -> None:
    upstream = upstream_of(A)
    a = server_of(upstream, A)
    a.started()
    upstream.name_servers("configuration", [], trusted=True)
    upstream.judge(a, True, "200")
    assert a.health.state is State.UNCHECKED
    with pytest.raises(NoServer):
        upstream.choose()


def test_a_selection_that_wants_to_know_hears_of_each_request_that_begins_or_ends() -> None:
    upstream = Upstream(LeastConnections, lambda spec: cast(ConnectionPool, FakePool(spec.address)))
    upstream.name_servers("configuration", specs(A, B), trusted=True)
    a, b = upstream
    for server in (a, a, a, b, b, b):
        server.started()
    a.succeeded()
    assert upstream.choose() is a
    a.started()
    b.failed(NoAnswer())
    assert upstream.choose() is b


def test_a_key_leads_to_the_same_server_and_its_table_is_built_step_by_step() -> None:
    upstream = Upstream(lambda: Maglev(lambda: 0.0, size=8209), lambda spec: cast(ConnectionPool, FakePool(spec.address)))
    assert upstream.builds
    assert not upstream_of(A).builds
    upstream.name_servers("configuration", specs(A, B, C), trusted=True)
    assert upstream.step()
    while upstream.step():
        pass
    keys = [b"%d" % number for number in range(30)]
    found = [upstream.choose(key=key) for key in keys]
    assert len(set(found)) == 3
    assert found == [upstream.choose(key=key) for key in keys]


def test_stopping_closes_every_pool() -> None:
    upstream = upstream_of(A, B)
    a, b = upstream
    a.started()
    upstream.name_servers("configuration", specs(B), trusted=True)
    upstream.startService()
    upstream.stopService()
    assert (closed(a), closed(b)) == (1, 1)


def test_how_long_a_server_took_is_forgotten_when_it_comes_back_and_not_before() -> None:
    upstream = upstream_of(A, B)
    server = server_of(upstream, A)
    upstream.judge(server, True, "200")
    server.latency.observe(3.0, 0.0)
    for passed in (False, True, False, False, False, True):
        upstream.judge(server, passed, "checked")
        assert server.latency.value_s == 3.0
    assert server.health.state is State.RISING
    upstream.judge(server, True, "200")
    assert server.latency.value_s == 0.0


# what operators want


def test_draining_servers_get_nothing_new_and_maintained_ones_nothing_at_all() -> None:
    upstream = ruled(A, B, C)
    a, b, c = upstream
    upstream.set_mode(a, Mode.DRAIN)
    upstream.set_mode(b, Mode.MAINT)
    assert chosen(upstream, 3) == [C] * 3
    assert [upstream.bound(server) for server in (a, b, c)] == [True, False, True]
    upstream.set_mode(a, Mode.READY)
    upstream.set_mode(b, Mode.READY)
    assert set(chosen(upstream, 3)) == {A, B, C}


def test_a_server_that_an_operator_has_taken_out_makes_nothing_ready() -> None:
    upstream = ruled(A)
    assert upstream.not_ready() is None
    upstream.set_mode(server_of(upstream, A), Mode.MAINT)
    assert upstream.not_ready() == "no server is healthy"


def test_a_weight_that_an_operator_sets_stays_until_the_configured_one_changes_or_is_asked_for() -> None:
    upstream = ruled(A, B)
    a = server_of(upstream, A)
    upstream.set_weight(a, 3)
    assert chosen(upstream, 8).count(A) == 6
    upstream.name_servers("configuration", specs(A, B), trusted=True)
    assert (a.weight, a.spec.weight) == (3, 1)
    upstream.name_servers("configuration", specs(f"{A},weight=2", B), trusted=True)
    assert a.weight == 2
    upstream.set_weight(a, 0)
    assert chosen(upstream, 2) == [B, B]
    assert upstream.bound(a)
    upstream.set_weight(a, None)
    assert a.weight == 2


def test_whoever_keeps_what_is_wanted_hears_when_that_is_set() -> None:
    upstream = upstream_of(A)
    told: list[str] = []
    upstream.when_wanted(lambda: told.append(next(iter(upstream)).mode.value))
    upstream.set_mode(server_of(upstream, A), Mode.DRAIN)
    upstream.set_mode(server_of(upstream, A), Mode.DRAIN)
    upstream.set_weight(server_of(upstream, A), 3)
    assert told == ["drain", "drain"]


def test_a_server_is_found_by_its_name() -> None:
    upstream = ruled(A, B)
    assert upstream.server_named(B) is list(upstream)[1]
    assert upstream.server_named(C) is None


def test_rules_may_change_while_requests_run_and_count_for_servers_that_finish_too() -> None:
    upstream = ruled(A, B)
    a, b = upstream
    a.started()
    upstream.name_servers("configuration", specs(B), trusted=True)
    upstream.configure(UpstreamRules(fall=2, max_waiting=7, queue_timeout_s=9, breaker=BreakerPolicy(min_requests=3)))
    assert (upstream.line.limit, upstream.line.timeout_s) == (7, 9)
    assert a.breaker.policy.min_requests == b.breaker.policy.min_requests == 3
    upstream.judge(b, False, "500")
    assert b.health.state is State.FALLING


# levels


def test_a_backup_serves_while_no_primary_can() -> None:
    upstream = ruled(A, f"{B},backup", panic_percent=0)
    a = server_of(upstream, A)
    assert chosen(upstream, 2) == [A, A]
    upstream.judge(a, False, "500")
    assert chosen(upstream, 2) == [B, B]
    upstream.judge(a, True, "200")
    assert chosen(upstream, 2) == [A, A]
    assert upstream.choose((a,)).name == B


def test_a_busy_primary_does_not_overflow_to_a_backup() -> None:
    upstream = ruled(f"{A},maxconn=1", f"{B},maxconn=1", f"{C},backup")
    a, b, c = upstream
    a.started()
    assert chosen(upstream, 2) == [B, B]
    b.started()
    with pytest.raises(ServersBusy):
        upstream.choose()
    assert upstream.choose((a, b)) is c
    with pytest.raises(ServersBusy):
        upstream.choose((a,))


def test_servers_on_their_way_up_are_passed_over_while_they_are_full() -> None:
    upstream = ruled(f"{A},maxconn=1", f"{B},maxconn=1", rise=2, panic_percent=0)
    a, b = upstream
    for server in (a, b):
        upstream.judge(server, False, "500")
        upstream.judge(server, True, "200")
        assert server.health.state is State.RISING
    a.started()
    assert chosen(upstream, 2) == [B, B]
    b.started()
    with pytest.raises(ServersBusy):
        upstream.choose()


# ejections


def test_five_failures_in_a_row_eject_and_never_the_last() -> None:
    upstream = ruled(A, B)
    a, b = upstream
    words = logged(upstream)
    failing(a, 4)
    assert not a.ejected
    failing(a, 1)
    assert a.ejected
    assert words == [f"server {A} is ejected: 5 requests in a row failed"]
    assert chosen(upstream, 2) == [B, B]
    assert not upstream.bound(a)
    failing(b, 5)
    assert not b.ejected
    assert upstream.ejections.overflows == 1


@pytest.mark.parametrize("status", [502, 503, 504])
def test_answers_of_gateways_that_fail_are_failures(status: int) -> None:
    upstream = ruled(A, B)
    a, _ = upstream
    for _ in range(5):
        epoch = a.started()
        a.answered(status, 0.1, 1000.0, epoch)
        a.succeeded()
    assert a.ejected
    assert a.active == 0


def test_an_ejection_ends_with_its_time_or_a_passed_check() -> None:
    clock = Stopwatch()
    upstream = ruled(A, B, seconds=clock)
    a, _ = upstream
    failing(a, 5)
    clock.now += 29
    upstream.sweep()
    assert a.ejected
    clock.now += 1
    upstream.sweep()
    assert not a.ejected
    assert set(chosen(upstream, 2)) == {A, B}
    clock.now += 100
    for _ in range(10):
        upstream.sweep()
        clock.now += 10
    failing(a, 5)
    assert a.ejected
    upstream.judge(a, True, "200")
    assert not a.ejected


def test_what_left_while_it_was_ejected_or_refused_comes_back_with_a_clean_record() -> None:
    upstream = ruled(A, B)
    a, _ = upstream
    a.started()
    failing(a, 5)
    assert a.ejected
    upstream.name_servers("configuration", specs(B), trusted=True)
    upstream.name_servers("configuration", specs(A, B), trusted=True)
    assert server_of(upstream, A) is a
    assert not a.ejected
    assert set(chosen(upstream, 2)) == {A, B}
    failing(a, 4)
    assert not a.ejected


# breakers


def test_a_half_open_breaker_lets_three_through() -> None:
    clock = Stopwatch()
    upstream = ruled(A, B, seconds=clock, outlier=OutlierPolicy(failures_in_a_row=0))
    a, b = upstream
    failing(a, 20)
    clock.now += 10
    upstream.cool()
    epochs = [a.started() for _ in range(3)]
    assert chosen(upstream, 2) == [B, B]
    assert not upstream.bound(a)
    assert upstream.keeps_clients(a)
    with pytest.raises(ServersBusy):
        upstream.choose((b,))
    for epoch in epochs:
        a.answered(200, 0.1, clock.now, epoch)
        a.succeeded()
    assert a.breaker.state.value == "closed"
    assert not a.restricted
    assert set(chosen(upstream, 2)) == {A, B}


# the line


class Standing:
    """A request in the line."""

    def __init__(self, tried: tuple[Server, ...] = (), key: bytes | None = None) -> None:
        self.tried = tried
        self.key = key
        self.got: list[Server | None] = []
        self.in_vain = 0

    def place_free(self, server: Server | None) -> None:
        self.got.append(server)
        if server is not None:
            server.started()

    def waited_in_vain(self) -> None:
        self.in_vain += 1


def standing(upstream: Upstream, *requests: Standing) -> tuple[Standing, ...]:
    for request in requests:
        upstream.wait(request)
    return requests


def test_places_go_to_those_who_have_waited_longest() -> None:
    upstream = ruled(f"{A},maxconn=2")
    a = server_of(upstream, A)
    a.started()
    a.started()
    requests = standing(upstream, Standing(), Standing(), Standing())
    a.succeeded()
    a.failed(NoAnswer())
    assert [request.got for request in requests] == [[a], [a], []]
    assert a.active == 2
    assert upstream.queueing
    a.succeeded()
    assert not upstream.queueing


def test_who_waits_gets_a_server_that_it_has_not_tried_if_one_is_free_else_any() -> None:
    upstream = ruled(f"{A},maxconn=1", f"{B},maxconn=1")
    a, b = upstream
    a.started()
    b.started()
    (choosy,) = standing(upstream, Standing(tried=(a,)))
    a.succeeded()
    assert choosy.got == [a], "it must not keep the place from those behind it"
    (choosy,) = standing(upstream, Standing(tried=(a,)))
    b.succeeded()
    assert choosy.got == [b]
    assert (a.active, b.active) == (1, 1)


def test_the_line_ends_at_once_when_there_is_no_server_any_more() -> None:
    upstream = ruled(f"{A},maxconn=1", panic_percent=0)
    a = server_of(upstream, A)
    a.started()
    requests = standing(upstream, Standing(), Standing(tried=(a,)))
    upstream.judge(a, False, "500")
    assert [request.got for request in requests] == [[None], [None]]
    assert not upstream.queueing


def test_who_waits_too_long_hears_of_it_and_who_leaves_does_not() -> None:
    clock = Stopwatch()
    upstream = ruled(f"{A},maxconn=1", seconds=clock)
    server_of(upstream, A).started()
    first, leaving = standing(upstream, Standing(), Standing())
    clock.now += 1
    (second,) = standing(upstream, Standing())
    upstream.leave_line(leaving)
    clock.now += 4
    upstream.expire_line()
    assert (first.in_vain, leaving.in_vain, second.in_vain) == (1, 0, 0)
    assert upstream.queueing
    clock.now += 1
    upstream.expire_line()
    assert second.in_vain == 1
    assert not upstream.queueing


def test_a_line_that_is_full_or_has_no_room_at_all_lets_nobody_in() -> None:
    for room in (0, 2):
        upstream = ruled(f"{A},maxconn=1", max_waiting=room)
        standing(upstream, *(Standing() for _ in range(room)))
        with pytest.raises(Overloaded):
            upstream.wait(Standing())
        assert upstream.queueing is (room > 0)


# slow start


def test_a_server_that_comes_back_takes_more_and_more_of_its_share() -> None:
    clock = Stopwatch()
    upstream = ruled(A, B, seconds=clock, slow_start_s=10.0, panic_percent=0)
    a, _ = upstream
    assert a.share == 1.0, "those that are there at the start have their whole share"
    upstream.judge(a, False, "500")
    upstream.judge(a, True, "200")
    shares = []
    for _ in range(6):
        upstream.warm_up()
        shares.append((round(a.share, 2), chosen(upstream, 110).count(A)))
        clock.now += 2
    assert [share for share, _ in shares] == [0.1, 0.2, 0.4, 0.6, 0.8, 1.0]
    counts = [count for _, count in shares]
    assert counts == sorted(counts)
    assert counts[0] in range(9, 12)
    assert counts[-1] == 55


def test_a_server_that_is_ready_again_or_no_longer_ejected_starts_slowly_too() -> None:
    clock = Stopwatch()
    upstream = ruled(A, B, seconds=clock, slow_start_s=10.0)
    a, b = upstream
    upstream.set_mode(a, Mode.DRAIN)
    upstream.set_mode(a, Mode.READY)
    assert a.share < 1.0
    failing(b, 5)
    clock.now += 30
    upstream.sweep()
    assert b.share < 1.0
    upstream.configure(UpstreamRules())
    upstream.warm_up()
    assert a.share == b.share == 1.0


# what becomes known


def test_whoever_waits_on_a_server_that_goes_down_is_told_then_and_at_each_further_failed_check() -> None:
    upstream = ruled(A, B)
    a = server_of(upstream, A)
    told: list[str] = []

    class Moving:
        def server_down(self) -> None:
            told.append("down")

    cast(Any, a.pool).receivers_without_answer = lambda: [Moving(), object()]
    upstream.judge(a, True, "200")
    assert told == []
    upstream.judge(a, False, "500")
    assert told == ["down"]
    upstream.judge(a, False, "a request could not connect", unreachable=True)
    assert told == ["down"]
    upstream.judge(a, False, "500")
    assert told == ["down", "down"], "a panic may have sent it requests since"


class Turns:
    """An upstream of 3,000 servers whose changes are taken in at the end of a turn, which the test ends."""

    def __init__(self, **rules: Any) -> None:
        self.later: list[Callable[[], None]] = []
        self.told = 0
        self.upstream = Upstream(
            RoundRobin,
            lambda spec: cast(ConnectionPool, FakePool(spec.address)),
            rules=UpstreamRules(**{"rise": 1, "fall": 1, **rules}),
            later=self.later.append,
        )
        self.upstream.name_servers("many", [ServerSpec(Address("10.0.0.1", port)) for port in range(1, 3001)], trusted=True)
        self.end()
        self.upstream.when_changed(self.hear)
        self.before = self.upstream.refreshes

    def hear(self) -> None:
        self.told += 1

    def end(self) -> None:
        later, self.later[:] = list(self.later), []
        for call in later:
            call()

    @property
    def refreshes(self) -> int:
        return self.upstream.refreshes - self.before


def test_what_changes_in_one_turn_is_taken_in_once_however_many_servers_it_is() -> None:
    turn = Turns(panic_percent=0)
    for server in list(turn.upstream)[1:]:
        turn.upstream.judge(server, False, "it is down")
    assert (turn.refreshes, turn.told) == (0, 0)
    turn.end()
    assert (turn.refreshes, turn.told, turn.later) == (1, 1, [])
    assert [server.name for server in turn.upstream.candidates] == ["10.0.0.1:1"]
    turn.end()
    assert turn.refreshes == 1


def test_who_chooses_or_looks_in_the_same_turn_has_all_of_what_has_changed() -> None:
    turn = Turns()
    servers = list(turn.upstream)
    for server in servers[1:]:
        turn.upstream.set_mode(server, Mode.MAINT)
    assert {turn.upstream.choose() for _ in range(5)} == {servers[0]}
    assert turn.refreshes == 1
    for server in servers:
        turn.upstream.set_mode(server, Mode.READY)
    assert len(turn.upstream.candidates) == 3000
    for server in servers:
        turn.upstream.judge(server, True, "it is up")
    for server in servers[1:]:
        turn.upstream.judge(server, False, "it is down")
    assert turn.upstream.panicking
    assert turn.refreshes == 3
    turn.end()
    assert turn.refreshes == 3, "nothing has changed since"


def test_who_waits_on_servers_that_go_down_in_one_turn_is_told_when_all_are_known_to_be() -> None:
    turn = Turns(panic_percent=0)
    found = []

    class Receiver:
        def server_down(self) -> None:
            found.append(turn.upstream.choose().name)

    for server in list(turn.upstream)[:2999]:
        cast(Any, server.pool).receivers_without_answer = lambda: [Receiver()]
        turn.upstream.judge(server, False, "it is down")
    assert found == []
    turn.end()
    assert found == ["10.0.0.1:3000"] * 2999
    assert turn.refreshes == 1


def test_whoever_waits_is_served_once_when_a_place_becomes_free_in_a_turn_in_which_servers_have_changed() -> None:
    later: list[Callable[[], None]] = []
    upstream = Upstream(RoundRobin, lambda spec: cast(ConnectionPool, FakePool(spec.address)), later=later.append)
    upstream.name_servers("test", specs(f"{A},maxconn=1"), trusted=True)
    busy = upstream.choose()
    busy.started()
    line = standing(upstream, Standing(), Standing())
    upstream.name_servers("test", specs(f"{A},maxconn=4"), trusted=True)
    busy.succeeded()
    assert [len(waiting.got) for waiting in line] == [1, 1]
    assert not upstream.queueing
    for call in later:
        call()
    assert [len(waiting.got) for waiting in line] == [1, 1]
