"""What clients are told of limits."""

from scalability.gateway.rate_limits.fields import NAME, PREFIXES, Limit, Older, policy_field, seconds, state_fields
from scalability.gateway.rate_limits.gcra import Rate, Standing

S = 1_000_000_000
MINUTE = Limit("default", Rate(100, 60 * S))
SECOND = Limit("burst", Rate(10, S, 20))


def test_the_policies_are_a_list_of_structured_fields() -> None:
    assert policy_field([MINUTE]) == (b"RateLimit-Policy", b'"default";q=100;w=60')
    assert policy_field([MINUTE, SECOND]) == (b"RateLimit-Policy", b'"default";q=100;w=60, "burst";q=10;w=1')
    assert policy_field([Limit("half", Rate(1, S // 2))])[1] == b'"half";q=1;w=1'


def test_what_is_left_and_how_long_until_all_of_it_is_there_again() -> None:
    left = [Standing(72, 0, 29_200_000_000), Standing(0, 100_000_000, S)]
    assert state_fields([MINUTE, SECOND], left) == [(b"RateLimit", b'"default";r=72;t=30, "burst";r=0;t=1')]


def test_the_older_fields_tell_of_the_limit_that_is_nearest_its_end() -> None:
    left = [Standing(72, 0, 29 * S), Standing(3, 0, S)]
    assert state_fields([MINUTE, SECOND], left, PREFIXES[Older.X_RATELIMIT])[1:] == [
        (b"X-RateLimit-Limit", b"10"),
        (b"X-RateLimit-Remaining", b"3"),
        (b"X-RateLimit-Reset", b"1"),
    ]
    both_gone = [Standing(0, 5 * S, 60 * S), Standing(0, S, 2 * S)]
    assert state_fields([MINUTE, SECOND], both_gone, PREFIXES[Older.RATELIMIT])[1:] == [
        (b"RateLimit-Limit", b"100"),
        (b"RateLimit-Remaining", b"0"),
        (b"RateLimit-Reset", b"5"),
    ]


def test_seconds_are_rounded_up() -> None:
    assert [seconds(ns) for ns in (0, 1, S, S + 1)] == [0, 1, 1, 2]


def test_a_name_needs_no_escape() -> None:
    assert all(NAME.fullmatch(name) for name in ("default", "a-b.c_1", "9"))
    assert not any(NAME.fullmatch(name) for name in ("", "a b", 'a"', "a;b", "ä", "-a", "a" * 65))
