"""The last results of a server's checks."""

import msgspec
import pytest

from scalability.upstream.history import KEPT, CheckHistory, CheckResult


def result(at_s: float, passed: bool = True) -> CheckResult:
    return CheckResult(at_s, 0.01, passed, "the check was answered 200", 200)


def test_a_server_that_was_never_checked_has_none() -> None:
    history = CheckHistory()
    assert (list(history), len(history), history.last_failure) == ([], 0, None)


def test_only_the_newest_results_are_kept_oldest_first() -> None:
    history = CheckHistory()
    for at_s in range(KEPT + 5):
        history.add(result(at_s))
    assert [kept.at_s for kept in history] == list(range(5, KEPT + 5))


def test_the_last_failure_outlives_the_results_around_it() -> None:
    history = CheckHistory()
    for at_s in range(50):
        history.add(result(at_s, passed=at_s not in (3, 7)))
    assert history.last_failure == result(7, passed=False)
    assert all(kept.passed for kept in history)


def test_a_result_cannot_be_changed_and_reads_as_json() -> None:
    kept = result(1.5)
    with pytest.raises(AttributeError):
        kept.passed = False  # type: ignore[misc]
    assert msgspec.json.decode(msgspec.json.encode(kept)) == {
        "at_s": 1.5,
        "duration_s": 0.01,
        "passed": True,
        "what": "the check was answered 200",
        "status": 200,
    }
