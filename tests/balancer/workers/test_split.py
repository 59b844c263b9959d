"""What each worker may do: the whole is divided, nothing is lost, nothing is added."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.balancer.config import BalancerOptions
from scalability.balancer.workers.split import options_of, share
from scalability.upstream.discovery import Backend


@given(st.integers(min_value=0, max_value=10**7), st.integers(min_value=1, max_value=256))
def test_the_shares_add_up_and_differ_by_one_at_most(total: int, workers: int) -> None:
    shares = [share(total, workers, index) for index in range(workers)]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True), "the first ones get what does not divide"


def test_there_is_no_share_for_a_worker_that_does_not_exist() -> None:
    for index in (-1, 2):
        with pytest.raises(ValueError, match="there is no worker"):
            share(10, 2, index)


def test_the_caps_of_the_configuration_are_divided_and_all_else_is_kept() -> None:
    options = BalancerOptions(workers=3, max_connections=10, max_connections_per_client=5, max_queue=4, health_interval_s=7)
    parts = [options_of(options, index) for index in range(3)]
    assert [part.max_connections for part in parts] == [4, 3, 3]
    assert [part.max_connections_per_client for part in parts] == [2, 2, 1]
    assert [part.max_queue for part in parts] == [2, 1, 1]
    assert {part.workers for part in parts} == {1}
    assert {part.health_interval_s for part in parts} == {7}


def test_no_worker_is_left_without_a_connection() -> None:
    with pytest.raises(ValueError, match="max_connections: 4 workers cannot share 3"):
        BalancerOptions(workers=4, max_connections=3)
    with pytest.raises(ValueError, match="max_connections_per_client: 4 workers cannot share 3"):
        BalancerOptions(workers=4, max_connections_per_client=3)
    with pytest.raises(ValueError, match=r"backend: 4 workers cannot share the maxconn=3 of 192\.0\.2\.1:80"):
        BalancerOptions(workers=4, backend=(Backend.parse("192.0.2.1:80,maxconn=3"),))
    options = BalancerOptions(workers=4, max_connections=4)
    assert [options_of(options, index).max_connections_per_client for index in range(4)] == [0, 0, 0, 0]
    assert [options_of(options, index).max_connections for index in range(4)] == [1, 1, 1, 1]
