"""Rules that make no sense are refused."""

import pytest

from scalability.upstream.rules import UpstreamRules, rules_of


def test_the_usual_rules_make_sense() -> None:
    rules = UpstreamRules()
    assert (rules.rise, rules.fall, rules.panic_percent, rules.max_waiting) == (2, 3, 50, 1024)
    assert rules.outlier.failures_in_a_row == 5
    assert rules.breaker.failure_percent == 50


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ({"panic_percent": -1}, "0 to 100 percent"),
        ({"panic_percent": 101}, "0 to 100 percent"),
        ({"slow_start_s": -1.0}, "slow start"),
        ({"slow_start_aggression": 0.0}, "slow start"),
        ({"max_waiting": -1}, "queue"),
        ({"queue_timeout_s": 0.0}, "queue"),
    ],
)
def test_rules_without_sense_are_refused_with_the_reason(rules: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        UpstreamRules(**rules)  # type: ignore[arg-type]


class Configured:
    panic_percent, slow_start_s, max_queue, queue_timeout_s = 10, 2.0, 7, 3.0
    eject_failures, eject_time_s, eject_percent, breaker_percent = 4, 600.0, 20, 30


def test_options_become_rules() -> None:
    rules = rules_of(Configured(), rise=5, fall=6)
    assert (rules.rise, rules.fall, rules.panic_percent, rules.slow_start_s) == (5, 6, 10, 2.0)
    assert (rules.max_waiting, rules.queue_timeout_s, rules.breaker.failure_percent) == (7, 3.0, 30)
    outlier = rules.outlier
    assert (outlier.failures_in_a_row, outlier.base_ejection_s, outlier.max_ejection_percent) == (4, 600.0, 20)
    assert outlier.max_ejection_s == 600.0, "no ejection is longer the first time than it may grow to"
