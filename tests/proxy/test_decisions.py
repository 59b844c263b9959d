"""The last decisions are remembered, and explained to whoever asks."""

from typing import cast

from scalability.net.http_client import ConnectionPool
from scalability.proxy.decisions import SCORED, Decisions
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec


class NoPool:
    """No connections."""


def upstream_of(*texts: str) -> Upstream:
    upstream = Upstream(RoundRobin, lambda spec: cast(ConnectionPool, NoPool()))
    upstream.name_servers("test", [ServerSpec.parse(text) for text in texts], trusted=True)
    return upstream


def test_a_decision_says_who_was_chosen_why_and_among_whom() -> None:
    upstream = upstream_of("a:1", "b:1,weight=3")
    a, b = upstream
    decisions = Decisions(upstream, 10)
    b.started()
    decisions.note(b"one", a, "chosen", 5.0)
    decisions.note(b"two", b, "chosen", 6.0)
    a.started()
    decisions.note(b"one", b, "no_answer", 7.0)
    assert decisions.explain(b"one") == [
        {
            "at": 5.0,
            "server": "a:1",
            "reason": "chosen",
            "candidates": [{"server": "a:1", "weight": 1, "active": 0}, {"server": "b:1", "weight": 3, "active": 1}],
            "candidates_in_all": 2,
        },
        {
            "at": 7.0,
            "server": "b:1",
            "reason": "no_answer",
            "candidates": [{"server": "a:1", "weight": 1, "active": 1}, {"server": "b:1", "weight": 3, "active": 1}],
            "candidates_in_all": 2,
        },
    ]


def test_what_is_not_known_any_more_is_forgotten() -> None:
    upstream = upstream_of("a:1")
    (a,) = upstream
    decisions = Decisions(upstream, 3)
    for number in range(5):
        decisions.note(b"%d" % number, a, "chosen", number)
    assert [len(decisions.explain(b"%d" % number)) for number in range(6)] == [0, 0, 1, 1, 1, 0]


def test_requests_in_flight_are_noted_of_few_candidates_and_no_more_than_a_hundred_are_shown() -> None:
    for count in (SCORED, SCORED + 1, 150):
        upstream = upstream_of(*(f"a{number}:1" for number in range(count)))
        decisions = Decisions(upstream, 3)
        decisions.note(b"x", next(iter(upstream)), "chosen", 1.0)
        (explained,) = decisions.explain(b"x")
        assert ("active" in explained["candidates"][0]) is (count <= SCORED)
        assert len(explained["candidates"]) == min(count, 100)
        assert explained["candidates_in_all"] == count
