"""Cells on a server: transactions, conflicts, and what happens without an answer."""

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from scalability.errors import DependencyDown
from scalability.gateway.rate_limits.gcra import Rate, Verdict
from scalability.gateway.rate_limits.shared_cells import BATCH, MAX_WAITING, REST_S, SLACK_MS
from scalability.testing.limit_server import TIMEOUT_S, LimitingGateway, PlayedLimitServer

S = 1_000_000_000


@pytest.fixture
def server() -> PlayedLimitServer:
    return PlayedLimitServer()


def test_a_cell_is_kept_no_longer_than_it_says_anything_and_a_second(server: PlayedLimitServer) -> None:
    gateway = LimitingGateway(server, [Rate(4, S)])
    gateway.take()
    gateway.take()
    assert list(server.live_ms.values()) == [500 + SLACK_MS]


def test_the_requests_of_one_turn_are_one_transaction(server: PlayedLimitServer) -> None:
    gateway = LimitingGateway(server, [Rate(3, 60 * S)])
    asked = [gateway.send(b"a") for _ in range(5)] + [gateway.send(b"b")]
    gateway.clock.advance(0)
    assert [one.verdict.admitted for one in asked] == [True, True, True, False, False, True]
    assert [len(commands) for commands in server.pipelines] == [3, 4]
    assert gateway.cells.transactions == 1


def test_what_comes_meanwhile_is_the_next_one(server: PlayedLimitServer) -> None:
    gateway = LimitingGateway(server, [Rate(100, 60 * S)])
    server.held = True
    first = gateway.send()
    gateway.clock.advance(0)
    more = [gateway.send() for _ in range(BATCH + 1)]
    gateway.clock.advance(0)
    assert len(server.waiting) == 1
    server.release()
    gateway.clock.advance(0)
    assert [one.verdict.admitted for one in (first, *more)] == [True] * 100 + [False] * (BATCH - 98)
    assert gateway.cells.transactions == 3


def test_a_refusal_writes_nothing(server: PlayedLimitServer) -> None:
    gateway = LimitingGateway(server, [Rate(1, 60 * S)])
    gateway.take()
    before = dict(server.changes)
    assert not gateway.take().admitted
    assert server.changes == before
    assert len(server.pipelines) == 3


def test_who_comes_between_is_counted_and_the_rest_is_tried_again(server: PlayedLimitServer) -> None:
    one, other = (LimitingGateway(server, [Rate(1, 60 * S)]) for _ in range(2))
    between: list[Verdict] = []
    server.between = lambda: between.append(other.take())
    asked = one.send()
    one.clock.advance(0)
    assert asked.outcomes == []
    one.clock.advance(0.001)
    assert ([between[0].admitted, asked.verdict.admitted], one.cells.conflicts) == ([True, False], 1)


def test_conflicts_without_end_are_decided_locally_in_time_and_the_server_is_not_blamed(server: PlayedLimitServer) -> None:
    gateway = LimitingGateway(server, [Rate(1, 60 * S)])
    (cell,) = [b"scalelab:rate:/a:l0:1/60000000000:k"]

    def always() -> None:
        server.set(cell, b"0")
        server.between = always

    server.between = always
    asked = gateway.send()
    for _ in range(150):
        gateway.clock.advance(0.001)
    assert asked.verdict.admitted
    assert (gateway.store.alone, gateway.cells.timeouts, gateway.cells.up) == (1, 1, True)
    assert 5 < gateway.cells.conflicts < 100
    server.between = None
    assert gateway.take().admitted
    assert gateway.store.shared == 1


def test_a_server_that_is_gone_leaves_each_gateway_its_own_limits(server: PlayedLimitServer) -> None:
    gateway = LimitingGateway(server, [Rate(2, 60 * S)])
    assert gateway.take().admitted
    server.broken = DependencyDown()
    assert [gateway.take().admitted for _ in range(3)] == [True, True, False]
    assert (gateway.store.shared, gateway.store.alone, gateway.cells.up) == (1, 3, False)


def test_a_request_waits_no_longer_than_its_time_and_the_next_ones_not_at_all(server: PlayedLimitServer) -> None:
    gateway = LimitingGateway(server, [Rate(2, 60 * S)])
    server.held = True
    asked = [gateway.send()]
    gateway.clock.advance(0)
    gateway.clock.advance(TIMEOUT_S * 0.9)
    asked.append(gateway.send())
    assert [one.outcomes for one in asked] == [[], []]
    gateway.clock.advance(TIMEOUT_S * 0.1)
    assert [one.verdict.admitted for one in asked] == [True, True]
    assert not gateway.send().verdict.admitted
    assert (gateway.client.dropped, gateway.cells.timeouts, gateway.store.alone) == (1, 2, 3)
    server.release()
    gateway.clock.advance(1)
    assert gateway.cells.waiting == 0


def test_after_a_rest_a_probe_finds_out_and_no_request_waits_for_it(server: PlayedLimitServer) -> None:
    gateway = LimitingGateway(server, [Rate(100, 60 * S)])
    server.broken = DependencyDown()
    gateway.take()
    sent = len(server.pipelines)
    for _ in range(50):
        gateway.take()
    assert len(server.pipelines) == sent, "it rests"
    gateway.clock.advance(REST_S)
    gateway.take()
    assert (gateway.cells.up, gateway.cells.failures) == (False, 2)
    server.broken = None
    server.held = True
    gateway.clock.advance(REST_S)
    assert gateway.send().outcomes, "decided at once"
    assert gateway.send().outcomes
    assert server.pipelines[-1] == ((b"TIME",),)
    gateway.clock.advance(TIMEOUT_S)
    assert not gateway.cells.up
    server.release()
    gateway.clock.advance(REST_S)
    gateway.take()
    assert gateway.cells.up
    before = gateway.store.shared
    gateway.take()
    assert gateway.store.shared == before + 1


def test_only_so_many_wait(server: PlayedLimitServer) -> None:
    gateway = LimitingGateway(server, [Rate(10_000, 60 * S)])
    server.held = True
    asked = [gateway.send() for _ in range(MAX_WAITING + 5)]
    assert [bool(one.outcomes) for one in asked] == [False] * MAX_WAITING + [True] * 5
    assert (gateway.cells.turned_away, gateway.cells.waiting) == (5, MAX_WAITING)
    gateway.clock.advance(0)
    server.release()
    gateway.clock.advance(0)
    assert gateway.store.shared == MAX_WAITING


def test_a_request_whose_client_left_is_not_charged_when_nobody_asked_yet(server: PlayedLimitServer) -> None:
    gateway = LimitingGateway(server, [Rate(1, 60 * S)])
    left, stays = gateway.send(), gateway.send()
    assert isinstance(left.answer, Deferred)
    left.answer.cancel()
    gateway.clock.advance(0)
    assert left.outcomes[0].check(CancelledError)
    assert stays.verdict.admitted


@pytest.mark.parametrize("told", [b"12", [b"1"], [b"x", b"y"], None])
def test_a_server_that_tells_no_time_or_fails_in_any_other_way_is_not_used(server: PlayedLimitServer, told: Any) -> None:
    gateway = LimitingGateway(server, [Rate(1, 60 * S)])
    if told is None:
        server.broken = DependencyDown()
    server.told = told
    assert gateway.take().admitted
    assert (gateway.store.alone, gateway.cells.up) == (1, False)


def test_stopping_leaves_nobody_waiting(server: PlayedLimitServer) -> None:
    gateway = LimitingGateway(server, [Rate(1, 60 * S)])
    server.held = True
    under_way = gateway.send()
    gateway.clock.advance(0)
    waiting = gateway.send()
    gateway.cells.stopService()
    assert [under_way.verdict.admitted, waiting.verdict.admitted] == [True, False], "counted locally"
    assert not gateway.clock.getDelayedCalls()
    assert gateway.send().outcomes
