"""How long values live and when they are read anew: arithmetic."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.errors import ClientError
from scalability.gateway.look_aside.policy import LONGEST_PAUSE_S, MAX_KEY_BYTES, Policy, check_key, lease_key

DRAWS = st.floats(0.0, 1.0, exclude_max=True)


@given(draw=DRAWS, jitter=st.floats(0.0, 0.99), ttl_s=st.floats(0.001, 1e6), negative_ttl_s=st.floats(0.0, 1e6))
def test_a_life_is_never_longer_than_asked_for(draw: float, jitter: float, ttl_s: float, negative_ttl_s: float) -> None:
    policy = Policy(ttl_s=ttl_s, ttl_jitter=jitter, negative_ttl_s=negative_ttl_s)
    assert ttl_s * (1 - jitter) * 0.999 <= policy.life_s(draw) <= ttl_s
    assert 0 <= policy.life_s(draw, negative=True) <= min(ttl_s, negative_ttl_s)


@given(now=st.floats(0.0, 2e9), remains_s=st.floats(-10.0, 1e6), near_ttl_s=st.floats(0.0, 100.0))
def test_a_near_life_is_the_shorter_of_two_and_never_negative(now: float, remains_s: float, near_ttl_s: float) -> None:
    life_s = Policy(near_ttl_s=near_ttl_s).near_life_s(now, now + remains_s)
    assert 0 <= life_s <= near_ttl_s
    assert life_s <= max(0.0, now + remains_s - now)


@given(draw=DRAWS, load_s=st.floats(0.0, 100.0), beta=st.floats(0.0, 10.0))
def test_a_value_is_due_before_its_end_or_at_it(draw: float, load_s: float, beta: float) -> None:
    assert Policy(beta=beta).refresh_at(1_000.0, load_s, draw) <= 1_000.0


def test_the_time_between_refresh_and_end_is_exponential_with_the_load_time_as_its_mean() -> None:
    draws = [(number + 0.5) / 10_000 for number in range(10_000)]
    early_s = [1_000.0 - Policy().refresh_at(1_000.0, 0.2, draw) for draw in draws]
    assert sum(early_s) / len(early_s) == pytest.approx(0.2, rel=0.01)
    assert sum(seconds > 0.2 for seconds in early_s) / len(early_s) == pytest.approx(0.368, abs=0.01)  # 1/e


def test_a_value_that_never_ends_is_never_due() -> None:
    assert Policy().refresh_at(inf, 1.0, 0.999) == inf


@given(draw=DRAWS, attempt=st.integers(0, 10_000))
def test_pauses_grow_to_a_limit_and_are_never_short(draw: float, attempt: int) -> None:
    pause_s = Policy().pause_s(attempt, draw)
    assert 0.005 <= pause_s <= LONGEST_PAUSE_S
    assert pause_s <= Policy().pause_s(attempt + 10, draw)


def test_another_write_is_told_from_the_same_one() -> None:
    policy = Policy(ttl_s=30.0)
    assert not policy.is_newer(1_000.4, 1_000.0)
    assert policy.is_newer(1_028.0, 1_000.0)
    assert not policy.is_newer(0.0, 1_000.0)


@pytest.mark.parametrize(
    "wrong",
    [{"ttl_s": 0.0}, {"ttl_s": float("nan")}, {"ttl_jitter": 1.0}, {"ttl_jitter": -0.1}, {"near_ttl_s": -1.0}, {"lease_s": float("nan")}],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="lives"):
        Policy(**wrong)


def test_a_lease_is_never_where_a_value_can_be() -> None:
    check_key("data")
    check_key("\xfc" * (MAX_KEY_BYTES // 2))
    check_key("lease")
    for key in (lease_key("data"), lease_key(""), lease_key(lease_key("x")), "\xfc" * (MAX_KEY_BYTES // 2 + 1)):
        with pytest.raises(ClientError):
            check_key(key)
    assert len(lease_key("k" * MAX_KEY_BYTES).encode()) <= 1024


def test_text_that_is_no_unicode_is_a_key_of_some_length() -> None:
    check_key("\udcff")
