"""Open breakers cool while their servers are there."""

from scalability.testing.upstreams import A, B, Stopwatch, chosen, failing, ruled, specs
from scalability.upstream.breaker import State
from scalability.upstream.open_breakers import OpenBreakers
from scalability.upstream.outlier import OutlierPolicy


def test_a_breaker_that_was_open_when_its_server_left_and_came_back_still_cools() -> None:
    clock = Stopwatch()
    upstream = ruled(A, B, seconds=clock, outlier=OutlierPolicy(failures_in_a_row=0))
    a, _ = upstream
    a.started()
    failing(a, 20)
    assert a.breaker.state.value == "open"
    assert chosen(upstream, 2) == [B, B]
    upstream.name_servers("configuration", specs(B), trusted=True)
    clock.now += 5
    upstream.cool()
    upstream.name_servers("configuration", specs(A, B), trusted=True)
    assert chosen(upstream, 2) == [B, B]
    clock.now += 5
    upstream.cool()
    assert a.breaker.state.value == "half-open"
    assert set(chosen(upstream, 2)) == {A, B}


def test_those_that_are_open_cool_once_and_those_that_have_left_do_not() -> None:
    clock = Stopwatch()
    a, b = ruled(A, B, seconds=clock, outlier=OutlierPolicy(failures_in_a_row=0))
    breakers = OpenBreakers()
    for server in (a, b):
        breakers.joined(server)
        failing(server, 20)
        breakers.changed(server)
    assert breakers.cooled(clock.now) == []
    breakers.left(a)
    a.removed = True
    breakers.changed(a)
    assert breakers.cooled(clock.now + 3600) == [b]
    assert b.breaker.state is State.HALF_OPEN
    breakers.changed(b)
    a.removed = False
    breakers.joined(a)
    assert breakers.cooled(clock.now + 3600) == [a]
