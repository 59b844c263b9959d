"""Latency decides; new servers, bad ones and hanging ones get what they deserve."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalability.testing.candidates import FakeServer, Requests
from scalability.upstream.selection.peak_ewma import PeakEwma


class Playing:
    """A selection, and the time that it is told."""

    def __init__(self, *servers: FakeServer, seed: int = 3) -> None:
        self.now = 1000.0
        self.selection: PeakEwma[FakeServer] = PeakEwma(lambda: self.now, random.Random(seed).random)
        self.selection.replace(servers)
        self.requests = Requests(self.selection)

    def ask(self, seconds: float | None) -> FakeServer:
        """Send a request that is answered after so long, before any other; or None: not at all."""
        server = self.requests.begin()
        assert server is not None
        if seconds is not None:
            server.latency.observe(seconds, self.now)
            self.requests.end(server)
        return server


def slow_and_fast() -> tuple[FakeServer, FakeServer]:
    slow, fast = FakeServer("slow"), FakeServer("fast")
    slow.latency.observe(1.0, 1000.0)
    fast.latency.observe(0.01, 1000.0)
    return slow, fast


def test_the_faster_server_is_chosen() -> None:
    slow, fast = slow_and_fast()
    playing = Playing(slow, fast)
    assert {playing.ask(0.01) for _ in range(50)} == {fast}


def test_a_faster_server_that_is_busy_enough_is_not() -> None:
    slow, fast = slow_and_fast()
    fast.active = 200
    assert Playing(slow, fast).ask(None) is slow


def test_weight_makes_up_for_latency() -> None:
    slow, fast = slow_and_fast()
    slow.weight = 256
    assert Playing(slow, fast).ask(None) is slow
    slow.share = 0.1
    assert Playing(slow, fast).ask(None) is fast


def test_a_server_that_was_very_slow_is_asked_again_when_that_has_decayed() -> None:
    slow, fast = slow_and_fast()
    playing = Playing(slow, fast)
    asked = []
    for _ in range(1000):
        playing.now += 0.1
        asked.append(playing.ask(0.01))
    # 1 s becomes 10 ms in 46 s; then it is found to be as fast as the other
    assert asked[:400].count(slow) == 0
    assert asked.index(slow) < 500
    assert asked[-200:].count(slow) > 50


def test_a_server_that_is_still_slow_is_asked_seldom() -> None:
    slow, fast = slow_and_fast()
    playing = Playing(slow, fast)
    count = 0
    for _ in range(6000):
        playing.now += 0.1
        server = playing.requests.begin()
        assert server is not None
        count += server is slow
        server.latency.observe(1.0 if server is slow else 0.01, playing.now)
        playing.requests.end(server)
    assert 5 <= count <= 30


def test_a_new_server_gets_one_request_at_once_and_more_when_it_has_answered() -> None:
    old = [FakeServer(str(index)) for index in range(3)]
    for server in old:
        server.latency.observe(0.01, 1000.0)
    new = FakeServer("new")
    playing = Playing(*old, new)
    asked = [playing.ask(None) for _ in range(100)]
    assert asked.index(new) < 10
    assert asked.count(new) == 1
    new.latency.observe(0.01, playing.now)
    playing.requests.end(new)
    assert [playing.ask(None) for _ in range(100)].count(new) > 20


def test_a_burst_at_the_start_is_spread_over_all() -> None:
    servers = [FakeServer(str(index)) for index in range(4)]
    playing = Playing(*servers)
    for _ in range(100):
        playing.ask(None)
    assert all(15 <= server.active <= 35 for server in servers)


def test_a_server_that_hangs_is_not_sent_ever_more() -> None:
    servers = [FakeServer(str(index)) for index in range(4)]
    playing = Playing(*servers)
    for _ in range(200):
        playing.now += 0.01
        playing.ask(0.01)
    hanging = servers[0]
    # 100 requests a second for a minute, and it answers none of them: Finagle's decay alone would have it win again and again
    for _ in range(6000):
        playing.now += 0.01
        server = playing.requests.begin()
        assert server is not None
        if server is not hanging:
            server.latency.observe(0.01, playing.now)
            playing.requests.end(server)
    assert hanging.active <= 12


def test_servers_that_were_not_asked_for_hours_overflow_nothing() -> None:
    a, b = slow_and_fast()
    playing = Playing(a, b)
    playing.now += 1e6
    b.latency.observe(0.01, playing.now)
    assert {playing.ask(None) for _ in range(8)} >= {a}


@given(
    st.lists(st.tuples(st.floats(0.0, 10.0), st.floats(0.0, 100.0), st.integers(0, 20), st.integers(1, 9)), min_size=2, max_size=2),
    st.integers(0, 100),
)
@settings(deadline=None)
def test_the_choice_of_two_is_the_cheaper_for_its_weight(two: list[tuple[float, float, int, int]], seed: int) -> None:
    servers = []
    for index, (seconds, ago, active, weight) in enumerate(two):
        server = FakeServer(str(index), weight, active=active)
        server.latency.observe(seconds, 1000.0 - ago)
        servers.append(server)
    costs = [server.latency.cost(1000.0, server.active) / server.weight for server in servers]
    chosen = Playing(*servers, seed=seed).selection.choose()
    assert chosen is not None
    assert costs[servers.index(chosen)] == pytest.approx(min(costs))
