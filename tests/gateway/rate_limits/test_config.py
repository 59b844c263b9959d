"""The table rate_limit."""

from typing import Any

import msgspec
import pytest

from scalability.gateway.rate_limits.config import Per, RateLimitOptions
from scalability.gateway.rate_limits.fields import Older

S = 1_000_000_000


def read(**table: Any) -> RateLimitOptions:
    return msgspec.convert(table, RateLimitOptions)


def test_a_limit_needs_a_number_and_a_window() -> None:
    (limit,) = read(limits=[{"requests": 100, "window": 60}]).limits
    assert (limit.per, limit.burst, limit.name) == (Per.CLIENT, 0, "")
    assert repr(limit.rate()) == repr(("x", limit.rate())[1]) == f"Rate(100, {60 * S}, 100)"


def test_everything_can_be_said() -> None:
    options = read(
        limits=[{"requests": 5, "window": 0.5, "burst": 2, "per": "consumer", "name": "a"}, {"requests": 1, "window": 1, "per": "route"}],
        older_fields="x-ratelimit",
        max_clients=10,
    )
    assert [(one.name, one.rate.requests, one.rate.window_ns, one.rate.burst) for one in options.named("route")] == [
        ("a", 5, S // 2, 2),
        ("route", 1, S, 1),
    ]
    assert (options.older_fields, options.max_clients) == (Older.X_RATELIMIT, 10)


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"limits": []},
        {"limits": [{"requests": 1, "window": 1, "name": str(n)} for n in range(9)]},
        {"limits": [{"requests": 0, "window": 1}]},
        {"limits": [{"requests": 1, "window": 0}]},
        {"limits": [{"requests": 1, "window": -1}]},
        {"limits": [{"requests": 1, "window": 1, "burst": -1}]},
        {"limits": [{"requests": 1, "window": 1, "per": "moon"}]},
        {"limits": [{"requests": 1, "window": 1, "name": 'a"b'}]},
        {"limits": [{"requests": 1, "window": 1}] * 2},
        {"limits": [{"requests": 1, "window": 1, "unknown": 1}]},
        {"limits": [{"requests": 1, "window": 1}], "max_clients": 0},
        {"limits": [{"requests": 1, "window": 1}], "older_fields": "all"},
    ],
)
def test_what_is_no_limit_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(**table)
