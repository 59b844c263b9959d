"""A line: first come, first served, bounded in length and time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.upstream.waiting import WaitingLine


def test_first_come_is_first_served() -> None:
    line: WaitingLine[str] = WaitingLine(10, 5.0)
    for request in "abc":
        assert line.add(request, 0.0)
    assert [(line.first, line.next()) for _ in range(4)] == [("a", "a"), ("b", "b"), ("c", "c"), (None, None)]


def test_a_full_line_lets_nobody_in() -> None:
    line: WaitingLine[str] = WaitingLine(2, 5.0)
    assert [line.add(request, 0.0) for request in "abc"] == [True, True, False]
    assert (len(line), line.entered, line.refused, line.greatest) == (2, 2, 1, 2)
    assert "c" not in line
    line.next()
    assert line.add("c", 0.0)


def test_in_a_line_of_length_0_nobody_waits() -> None:
    line: WaitingLine[str] = WaitingLine(0, 5.0)
    assert not line.add("a", 0.0)
    assert line.greatest == 0


def test_one_whose_client_goes_away_leaves_from_the_middle() -> None:
    line: WaitingLine[str] = WaitingLine(10, 5.0)
    for request in "abc":
        line.add(request, 0.0)
    assert line.leave("b")
    assert not line.leave("b"), "it waits no more"
    assert [line.next(), line.next(), line.next()] == ["a", "c", None]
    assert line.withdrawn == 1


def test_nobody_waits_longer_than_the_timeout() -> None:
    line: WaitingLine[str] = WaitingLine(10, 5.0)
    assert line.expires_s() is None
    for at, request in enumerate("abc"):
        line.add(request, float(at))
    assert line.expires_s() == 5.0
    assert line.expired(4.9) == []
    assert line.expired(6.0) == ["a", "b"]
    assert line.expires_s() == 7.0
    assert (len(line), line.expirations) == (1, 2)
    assert line.expired(100.0) == ["c"]
    assert line.expired(100.0) == []


def test_a_changed_timeout_holds_for_those_that_wait_already() -> None:
    line: WaitingLine[str] = WaitingLine(10, 100.0)
    line.add("a", 0.0)
    line.timeout_s = 5.0
    line.add("b", 1.0)
    assert line.expired(5.0) == ["a"]
    assert line.expired(6.0) == ["b"]


def test_a_changed_limit_puts_nobody_out() -> None:
    line: WaitingLine[str] = WaitingLine(10, 5.0)
    for request in "abc":
        line.add(request, 0.0)
    line.limit = 1
    assert len(line) == 3
    assert not line.add("d", 0.0)


def test_nobody_waits_twice() -> None:
    line: WaitingLine[str] = WaitingLine(10, 5.0)
    line.add("a", 0.0)
    with pytest.raises(ValueError, match="waits already"):
        line.add("a", 1.0)


@pytest.mark.parametrize(("limit", "timeout"), [(-1, 5.0), (1, 0.0)])
def test_a_line_without_sense_is_refused(limit: int, timeout: float) -> None:
    with pytest.raises(ValueError, match="room for 0 or more"):
        WaitingLine(limit, timeout)


@given(st.integers(0, 8), st.lists(st.tuples(st.sampled_from(["add", "add", "next", "leave", "expire"]), st.integers(0, 20)), max_size=200))
def test_a_line_is_what_a_list_would_be(limit: int, steps: list[tuple[str, int]]) -> None:
    line: WaitingLine[int] = WaitingLine(limit, 10.0)
    model: list[tuple[int, float]] = []
    greatest = served = 0
    for now, (what, which) in enumerate(steps):
        if what == "add":
            assert line.add(now, now) is (len(model) < limit)
            if len(model) < limit:
                model.append((now, now))
                greatest = max(greatest, len(model))
        elif what == "next":
            assert line.next() == (model.pop(0)[0] if model else None)
        elif what == "leave":
            request = model.pop(which % len(model))[0] if model else -1
            assert line.leave(request) is (request >= 0)
        else:
            assert line.expired(now) == [request for request, since in model if since + 10.0 <= now]
            model = [(request, since) for request, since in model if since + 10.0 > now]
        assert len(line) == len(model) <= limit
        assert line.greatest == greatest
    while line.next() is not None:
        served += 1
    assert served == len(model)
