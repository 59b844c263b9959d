"""How a route's servers are checked and used."""

from typing import Any

import msgspec
import pytest

from scalability.gateway.routing.upstream_options import HealthOptions, UpstreamOptions


def test_without_a_word_servers_are_used_as_the_balancer_uses_them() -> None:
    rules = UpstreamOptions().rules(HealthOptions())
    assert (rules.rise, rules.fall, rules.panic_percent, rules.max_waiting) == (2, 3, 50, 1024)
    assert (rules.outlier.failures_in_a_row, rules.breaker.failure_percent) == (5, 50)
    assert UpstreamOptions().retry_policy().retries == 2


def test_the_names_in_the_file_have_no_units() -> None:
    table = {"connect_timeout": 1, "answer_timeout": 2.5, "retry_on": ["none"], "breaker_percent": 0, "algorithm": "peak_ewma"}
    options = msgspec.convert(table, UpstreamOptions)
    assert (options.connect_timeout_s, options.answer_timeout_s) == (1.0, 2.5)
    assert options.retry_policy().reasons == frozenset()
    assert options.rules(HealthOptions()).breaker.failure_percent == 0
    health = msgspec.convert({"path": "/up", "interval": 1, "timeout": 0.5, "status": "204"}, HealthOptions)
    assert (health.path, health.pace.interval_s, health.pace.fast_s, health.timeout_s) == ("/up", 1.0, 0.25, 0.5)


@pytest.mark.parametrize(
    ("kind", "table", "why"),
    [
        (UpstreamOptions, {"algorithm": "best"}, "there is no 'best'"),
        (UpstreamOptions, {"retry_on": ["luck"]}, "'luck' is none of"),
        (UpstreamOptions, {"retry_on": ["none", "no_answer"]}, "none stands alone"),
        (UpstreamOptions, {"connect_timeout": 0}, "> 0"),
        (UpstreamOptions, {"resolver": "dns.example:53"}, "is not an IP address"),
        (UpstreamOptions, {"resolver": "10.0.0.1"}, "is not HOST:PORT"),
        (UpstreamOptions, {"resolver": "10.0.0.1:0"}, "port 0"),
        (UpstreamOptions, {"retry": 1}, "unknown field"),
        (HealthOptions, {"path": "up"}, "begins with /"),
        (HealthOptions, {"status": "2xx"}, "."),
        (HealthOptions, {"interval": 1, "timeout": 2}, "must end before the next"),
        (HealthOptions, {"initial": "down"}, "Invalid enum value"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(kind: Any, table: dict[str, Any], why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.convert(table, kind)
