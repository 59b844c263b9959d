"""The last decisions are remembered, and explained to whoever asks."""

import gc
from collections.abc import Callable
from typing import Any

import pytest

from scalability.proxy.decisions import Decisions
from scalability.testing.upstreams import fake_pool
from scalability.upstream.selection import ALGORITHMS
from scalability.upstream.server import Server
from scalability.upstream.servers import NAMED, Upstream
from scalability.upstream.spec import ServerSpec


def upstream_of(*texts: str, algorithm: str = "round_robin", now: Callable[[], float] = lambda: 100.0) -> Upstream:
    upstream = Upstream(lambda: ALGORITHMS[algorithm](clock=now, random=lambda: 0.0), fake_pool, seconds=now)
    upstream.name_servers("test", [ServerSpec.parse(text) for text in texts], trusted=True)
    return upstream


def chosen(upstream: Upstream, algorithm: str, tried: tuple[Server, ...] = (), at: float = 100.0) -> dict[str, Any]:
    """What is told of the next choice."""
    decisions = Decisions(upstream, 3, algorithm=algorithm)
    decisions.note(b"x", upstream.choose(tried, b"key"), "chosen", at)
    (told,) = decisions.explain(b"x")
    return told


def test_a_decision_says_who_was_chosen_why_among_whom_and_where_the_request_was_before() -> None:
    upstream = upstream_of("a:1", "b:1,weight=3")
    a, b = upstream
    decisions = Decisions(upstream, 10, wall=lambda: 1.7e9)  # and it is 100 on the upstream's clock
    decisions.note(b"one", a, "chosen", 5.0)
    decisions.note(b"two", b, "chosen", 6.0)
    decisions.note(b"one", b, "no_answer", 7.0)
    more = {
        "algorithm": "round_robin",
        "candidates": [{"server": "a:1", "weight": 1}, {"server": "b:1", "weight": 3}],
        "candidates_in_all": 2,
    }
    assert decisions.explain(b"one") == [
        {"at": 1.7e9 - 95.0, "server": "a:1", "reason": "chosen", "tried": [], **more},
        {"at": 1.7e9 - 93.0, "server": "b:1", "reason": "no_answer", "tried": ["a:1"], **more},
    ]


def test_what_is_not_known_any_more_is_forgotten() -> None:
    upstream = upstream_of("a:1")
    (a,) = upstream
    decisions = Decisions(upstream, 3)
    for number in range(5):
        decisions.note(b"%d" % number, a, "chosen", number)
    assert [len(decisions.explain(b"%d" % number)) for number in range(6)] == [0, 0, 1, 1, 1, 0]


def test_no_more_than_so_many_candidates_are_named() -> None:
    for count in (NAMED, NAMED + 1, 150):
        told = chosen(upstream_of(*(f"a{number}:1" for number in range(count))), "round_robin")
        assert [each["server"] for each in told["candidates"]] == [f"a{number}:1" for number in range(NAMED)]
        assert told["candidates_in_all"] == count


def test_what_is_remembered_keeps_no_server_that_has_left() -> None:
    upstream = upstream_of("left:1", "b:1")
    a, b = upstream
    decisions = Decisions(upstream, 3)
    decisions.note(b"x", a, "chosen", 1.0)
    upstream.name_servers("test", [b.spec], trusted=True)
    del a
    gc.collect()
    assert not [server for server in gc.get_objects() if isinstance(server, Server) and server.name == "left:1"]
    assert decisions.explain(b"x")[0]["candidates"] == [{"server": "left:1", "weight": 1}, {"server": "b:1", "weight": 1}]


@pytest.mark.parametrize("algorithm", ["least_connections", "maglev"])
def test_of_algorithms_that_count_the_requests_in_flight_are_told(algorithm: str) -> None:
    upstream = upstream_of("a:1", "b:1", algorithm=algorithm)
    a, _ = upstream
    a.started()
    a.started()
    assert [each["active"] for each in chosen(upstream, algorithm)["candidates"]] == [2, 0]


def test_least_request_tells_the_two_that_it_drew_and_their_scores() -> None:
    upstream = upstream_of("a:1", "b:1,weight=4", "c:1", algorithm="least_request")
    a, b, _ = upstream
    for _ in range(2):
        a.started()
        b.started()
    told = chosen(upstream, "least_request")
    assert told["server"] == "b:1"
    assert told["drawn"] == [
        {"server": "a:1", "weight": 1, "share": 1.0, "active": 2, "score": 2.0},
        {"server": "b:1", "weight": 4, "share": 1.0, "active": 2, "score": 0.5},
    ]


@pytest.mark.parametrize(("weight", "score"), [(1, 0.6), (2, 0.3)])
def test_peak_ewma_tells_the_averages_that_decided(weight: int, score: float) -> None:
    upstream = upstream_of("a:1", f"b:1,weight={weight}", algorithm="peak_ewma")
    a, b = upstream
    a.latency.observe(1.0, 100.0)
    b.latency.observe(0.2, 100.0)
    b.started()
    b.started()
    told = chosen(upstream, "peak_ewma")
    assert told["server"] == "b:1"
    assert told["drawn"] == [
        {"server": "a:1", "weight": 1, "share": 1.0, "active": 0, "score": 1.0, "ewma_s": 1.0},
        {"server": "b:1", "weight": weight, "share": 1.0, "active": 2, "score": pytest.approx(score), "ewma_s": pytest.approx(0.2)},
    ]


def test_averages_are_told_as_they_have_decayed_by_then() -> None:
    upstream = upstream_of("a:1", "b:1", algorithm="peak_ewma")
    a, b = upstream
    a.latency.observe(1.0, 90.0)
    b.latency.observe(1.0, 80.0)
    averages = [each["ewma_s"] for each in chosen(upstream, "peak_ewma")["drawn"]]
    assert averages == [pytest.approx(0.367879, abs=1e-5), pytest.approx(0.135335, abs=1e-5)]


def test_a_server_that_was_never_asked_costs_nothing() -> None:
    upstream = upstream_of("a:1", "b:1", algorithm="peak_ewma", now=lambda: 1e9)
    _, b = upstream
    b.latency.observe(1.0, 1e9)
    told = chosen(upstream, "peak_ewma", at=1e9)
    assert (told["server"], [each["score"] for each in told["drawn"]]) == ("a:1", [0.0, 1.0])


def test_averages_far_apart_in_time_are_told_each_as_of_now() -> None:
    upstream = upstream_of("a:1", "b:1", algorithm="peak_ewma", now=lambda: 1e6)
    a, b = upstream
    a.latency.observe(1.0, 0.0)
    b.latency.observe(1.0, 1e5)
    one, other = chosen(upstream, "peak_ewma", at=1e6)["drawn"]
    assert (one["score"], other["score"]) == (0.0, 0.0)


def test_the_only_server_is_drawn_once_and_one_that_was_not_drawn_has_no_scores() -> None:
    upstream = upstream_of("a:1", algorithm="peak_ewma")
    (a,) = upstream
    assert [each["server"] for each in chosen(upstream, "peak_ewma")["drawn"]] == ["a:1"]
    decisions = Decisions(upstream_of("b:1", algorithm="peak_ewma"), 3, algorithm="peak_ewma")
    decisions.note(b"x", a, "bound", 1.0)
    assert "drawn" not in decisions.explain(b"x")[0]


def test_backups_are_drawn_by_the_algorithm_of_their_level() -> None:
    upstream = upstream_of("a:1", "b:1,backup", "c:1,backup", algorithm="least_request")
    a, *_ = upstream
    assert {each["server"] for each in chosen(upstream, "least_request", (a,))["drawn"]} == {"b:1", "c:1"}
