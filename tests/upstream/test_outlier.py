"""Ejections: who goes, for how long, who stays whatever happens."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.errors import (
    AnswerTimeout,
    BadAnswer,
    BrokenAnswer,
    ClientGone,
    ConnectError,
    ConnectTimeout,
    NoAnswer,
    NoServer,
    Overloaded,
    RequestTimeout,
    ScalelabError,
    TLSFailed,
    TunnelTimeout,
)
from scalability.upstream.outlier import (
    GATEWAY_ERRORS,
    Cause,
    Ejected,
    Ejections,
    Ending,
    Outcomes,
    OutlierPolicy,
    Returned,
    Standing,
    blames_server,
)

# what counts


@pytest.mark.parametrize("error", [ConnectError, TLSFailed, ConnectTimeout, NoAnswer, BadAnswer, BrokenAnswer, AnswerTimeout])
def test_a_request_that_got_no_proper_answer_is_a_failure_of_its_server(error: type[ScalelabError]) -> None:
    assert blames_server(error())


@pytest.mark.parametrize("error", [ClientGone, RequestTimeout, NoServer, Overloaded, TunnelTimeout])
def test_a_client_that_left_a_limit_of_ours_and_an_idle_tunnel_are_not(error: type[ScalelabError]) -> None:
    assert not blames_server(error())


def test_gateway_errors_are_failures_and_a_servers_own_500_is_not() -> None:
    assert sorted(GATEWAY_ERRORS) == [502, 503, 504]


# one process's outcomes


def test_the_fifth_failure_in_a_row_is_reported_and_then_they_count_anew() -> None:
    outcomes = Outcomes()
    assert [outcomes.failed() for _ in range(10)] == [False, False, False, False, True] * 2


def test_a_success_between_makes_failures_count_anew() -> None:
    outcomes = Outcomes(2)
    assert not outcomes.failed()
    outcomes.succeeded()
    assert not outcomes.failed()
    assert outcomes.failed()


def test_a_limit_of_0_reports_no_failures_in_a_row() -> None:
    outcomes = Outcomes(0)
    assert not any(outcomes.failed() for _ in range(100))


def test_counts_are_taken_once() -> None:
    outcomes = Outcomes()
    outcomes.succeeded()
    outcomes.failed()
    outcomes.failed()
    assert outcomes.take() == (1, 2)
    assert outcomes.take() == (0, 0)
    assert outcomes.in_a_row == 2, "taking the counts interrupts no row"


def test_what_failed_before_an_ejection_does_not_count_after_it() -> None:
    outcomes = Outcomes(2)
    outcomes.failed()
    outcomes.restart()
    assert outcomes.take() == (0, 0)
    assert not outcomes.failed()


# the authority


class Servers:
    """Named by letters; all usable unless said otherwise."""

    def __init__(self, names: str, policy: OutlierPolicy | None = None) -> None:
        self.now = 1000.0
        self.ejections: Ejections[str] = Ejections(policy or OutlierPolicy(), self.now)
        self.names = names
        assert self.ejections.replace(names, names, self.now) == []

    def fail(self, name: str) -> Ejected[str] | None:
        return self.ejections.failed_in_a_row(name, self.now)

    def use(self, names: str, usable: str | None = None) -> list[Returned[str]]:
        return self.ejections.replace(names, names if usable is None else usable, self.now)

    def wait(self, seconds: float) -> list[Ejected[str] | Returned[str]]:
        """Sweep at each of so many seconds."""
        end = self.now + seconds
        events: list[Ejected[str] | Returned[str]] = []
        while self.now < end:
            self.now = min(self.now + 1.0, end)
            events += self.ejections.sweep(self.now)
        return events

    def requests(self, **failed_of: tuple[int, int]) -> None:
        for name, (failed, requests) in failed_of.items():
            self.ejections.merge(name, requests - failed, failed)

    def ejected(self) -> str:
        return "".join(name for name in self.names if name in self.ejections)


def times(servers: Servers, name: str) -> int:
    standing = servers.ejections.standing(name)
    assert standing is not None
    return standing.times


def test_five_failures_in_a_row_eject_for_30_seconds() -> None:
    servers = Servers("abc")
    assert servers.fail("a") == Ejected("a", Cause.IN_A_ROW, "5 requests in a row failed", servers.now + 30.0)
    assert "a" in servers.ejections
    assert len(servers.ejections) == 1
    assert servers.wait(29.0) == []
    assert servers.wait(1.0) == [Returned("a", Ending.TIME)]
    assert servers.ejected() == ""
    assert servers.ejections.totals == {Cause.IN_A_ROW: 1, Cause.SUCCESS_RATE: 0}


def test_each_further_ejection_lasts_30_seconds_longer_up_to_300() -> None:
    servers = Servers("abc")
    lasted = []
    for _ in range(12):
        event = servers.fail("a")
        assert event is not None
        lasted.append(event.until_s - servers.now)
        servers.wait(lasted[-1])
    assert lasted == [30.0, 60.0, 90.0, 120.0, 150.0, 180.0, 210.0, 240.0, 270.0, 300.0, 300.0, 300.0]


def test_each_interval_in_service_makes_the_next_ejection_shorter() -> None:
    servers = Servers("abc")
    for lasting in (30.0, 60.0, 90.0):
        servers.fail("a")
        servers.wait(lasting)
    assert times(servers, "a") == 3
    servers.wait(20.0)
    assert times(servers, "a") == 1, "two intervals"
    servers.wait(1000.0)
    assert times(servers, "a") == 0
    event = servers.fail("a")
    assert event is not None
    assert event.until_s == servers.now + 30.0


def test_time_spent_ejected_does_not_make_the_next_one_shorter() -> None:
    servers = Servers("abc", OutlierPolicy(base_ejection_s=200.0, max_ejection_s=1000.0))
    servers.fail("a")
    servers.wait(199.0)
    assert times(servers, "a") == 1


def test_a_server_that_is_out_already_is_not_ejected_again() -> None:
    servers = Servers("abcd")
    servers.fail("a")
    assert servers.fail("a") is None
    assert servers.ejections.totals[Cause.IN_A_ROW] == 1
    assert servers.ejections.overflows == 0


def test_an_unknown_server_is_nobodys_business() -> None:
    servers = Servers("abc")
    assert servers.fail("x") is None
    servers.ejections.merge("x", 1, 1)
    assert servers.ejections.passed_check("x", servers.now) is None
    assert servers.ejections.standing("x") is None


@pytest.mark.parametrize(("names", "most"), [("a", 0), ("ab", 1), ("abc", 1), ("abcd", 2), ("abcde", 2), ("abcdefghij", 5)])
def test_half_of_the_servers_may_be_ejected_and_of_one_none(names: str, most: int) -> None:
    servers = Servers(names)
    for name in names:
        servers.fail(name)
    assert servers.ejected() == names[:most]
    assert servers.ejections.overflows == len(names) - most


@pytest.mark.parametrize(("percent", "most"), [(0, 0), (10, 0), (34, 1), (67, 2), (100, 2)])
def test_another_share_may_be_chosen_but_the_last_server_always_stays(percent: int, most: int) -> None:
    servers = Servers("abc", OutlierPolicy(max_ejection_percent=percent))
    for name in "abc":
        servers.fail(name)
    assert servers.ejected() == "abc"[:most]


def test_the_last_usable_server_stays_where_the_others_are_down() -> None:
    servers = Servers("abcd")
    servers.use("abcd", usable="d")
    assert servers.fail("d") is None
    assert servers.ejections.overflows == 1


def test_a_server_that_is_down_anyway_is_not_ejected() -> None:
    servers = Servers("abcd")
    servers.use("abcd", usable="bcd")
    assert servers.fail("a") is None
    assert servers.ejections.overflows == 0


def test_when_every_other_server_goes_down_the_ejected_ones_return() -> None:
    servers = Servers("abcd")
    servers.fail("a")
    servers.fail("b")
    assert servers.use("abcd", usable="abd") == []
    assert servers.use("abcd", usable="ab") == [Returned("a", Ending.NEEDED), Returned("b", Ending.NEEDED)]


def test_when_servers_leave_no_more_than_half_of_the_rest_stay_ejected() -> None:
    servers = Servers("abcdefgh")
    for name in "cab":
        servers.fail(name)
        servers.now += 1.0
    assert servers.use("abcde") == [Returned("c", Ending.NEEDED)], "the one whose time would be over first"
    assert servers.ejected() == "ab"


def test_a_server_that_goes_down_is_not_ejected_any_more_and_its_number_of_ejections_stays() -> None:
    servers = Servers("abc")
    servers.fail("a")
    assert servers.use("abc", usable="bc") == [Returned("a", Ending.OVERRULED)]
    servers.use("abc")
    assert servers.ejected() == ""
    event = servers.fail("a")
    assert event is not None
    assert event.until_s == servers.now + 60.0


def test_a_server_that_leaves_is_forgotten() -> None:
    servers = Servers("abc")
    servers.fail("a")
    assert servers.use("bc") == []
    assert servers.use("abc") == []
    assert servers.ejected() == ""
    assert times(servers, "a") == 0


def test_a_passed_check_ends_the_first_ejection() -> None:
    servers = Servers("abc")
    servers.fail("a")
    assert servers.ejections.passed_check("a", servers.now) == Returned("a", Ending.CHECK)
    assert servers.ejections.passed_check("a", servers.now) is None


def test_a_check_that_was_wrong_is_not_believed_again_until_its_server_has_been_well() -> None:
    servers = Servers("abc")
    servers.fail("a")
    servers.ejections.passed_check("a", servers.now)
    servers.fail("a")
    assert servers.ejections.passed_check("a", servers.now) is None
    servers.wait(60.0)
    assert servers.ejected() == ""
    servers.wait(30.0)
    servers.fail("a")
    assert servers.ejections.passed_check("a", servers.now) is not None


def test_checks_may_be_disbelieved_altogether() -> None:
    servers = Servers("abc", OutlierPolicy(believes_checks=False))
    servers.fail("a")
    assert servers.ejections.passed_check("a", servers.now) is None


# success rates


def even(servers: Servers, names: Iterable[str], failed: int = 0, requests: int = 100) -> None:
    servers.requests(**dict.fromkeys(names, (failed, requests)))


def test_a_success_rate_far_below_the_others_ejects_at_the_end_of_the_interval() -> None:
    # Envoy's own example: 50, 100, 100, 100, 100 have the mean 90 and the deviation 20, and the threshold 52
    servers = Servers("abcde")
    even(servers, "bcde")
    servers.requests(a=(50, 100))
    assert servers.wait(9.0) == []
    why = "50.0% of 100 requests succeeded, where the mean of 5 servers is 90.0%"
    assert servers.wait(1.0) == [Ejected("a", Cause.SUCCESS_RATE, why, servers.now + 30.0)]


def test_a_success_rate_that_the_others_share_ejects_nobody() -> None:
    servers = Servers("abcde")
    even(servers, "abcde", failed=50)
    assert servers.wait(10.0) == []


def test_the_only_failed_request_of_all_servers_ejects_nobody_though_its_server_is_two_deviations_below_the_mean() -> None:
    servers = Servers("abcde")
    even(servers, "bcde")
    servers.requests(a=(1, 100))
    assert servers.wait(10.0) == []
    servers = Servers("abcde", OutlierPolicy(success_rate_margin=0.0))
    even(servers, "bcde")
    servers.requests(a=(1, 100))
    assert len(servers.wait(10.0)) == 1, "as Envoy would"


@pytest.mark.parametrize("compared", [4, 5])
def test_fewer_than_five_servers_with_100_requests_are_not_compared(compared: int) -> None:
    servers = Servers("abcdefgh")
    even(servers, "bcde"[: compared - 1])
    even(servers, "fgh", requests=99)
    servers.requests(a=(90, 100))
    assert len(servers.wait(10.0)) == compared - 4


def test_a_server_with_fewer_requests_is_not_judged() -> None:
    servers = Servers("abcdef")
    even(servers, "bcdef")
    servers.requests(a=(99, 99))
    assert servers.wait(10.0) == []


def test_each_interval_begins_with_no_counts() -> None:
    servers = Servers("abcde")
    even(servers, "abcde", failed=1, requests=60)
    servers.wait(10.0)
    even(servers, "bcde", requests=60)
    servers.requests(a=(60, 60))
    assert servers.wait(10.0) == []


def test_counts_of_several_processes_are_added_up() -> None:
    servers = Servers("abcde")
    for _ in range(2):
        even(servers, "bcde", requests=50)
        servers.requests(a=(40, 50))
    assert servers.wait(10.0)[0].server == "a"


def test_where_not_all_outliers_may_go_the_worst_does() -> None:
    names = "abcdefghij"
    servers = Servers(names, OutlierPolicy(max_ejection_percent=10, success_rate_sigmas=1.0))
    even(servers, names[3:])
    servers.requests(a=(60, 100), b=(80, 100), c=(70, 100))
    assert [event.server for event in servers.wait(10.0)] == ["b"]
    assert servers.ejections.overflows == 2


def test_counts_from_before_a_return_are_forgotten() -> None:
    servers = Servers("abcde")
    even(servers, "bcde")
    servers.requests(a=(100, 100))
    servers.fail("a")
    servers.ejections.passed_check("a", servers.now)
    assert servers.wait(10.0) == []


def test_an_ejected_server_is_not_compared() -> None:
    servers = Servers("abcde")
    servers.fail("a")
    even(servers, "bcde")
    servers.requests(a=(90, 100))
    assert servers.wait(10.0) == []


def test_comparing_success_rates_may_be_off() -> None:
    servers = Servers("abcde", OutlierPolicy(success_rate_servers=0))
    even(servers, "bcde")
    servers.requests(a=(100, 100))
    assert servers.wait(10.0) == []


def test_the_policy_may_change_at_any_time() -> None:
    servers = Servers("abcd")
    servers.fail("a")
    servers.ejections.policy = OutlierPolicy(max_ejection_percent=0)
    assert servers.fail("b") is None
    assert servers.use("abcd") == [Returned("a", Ending.NEEDED)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"failures_in_a_row": -1},
        {"success_rate_servers": -1},
        {"success_rate_requests": 0},
        {"interval_s": 0.0},
        {"base_ejection_s": 0.0},
        {"base_ejection_s": 301.0},
        {"max_ejection_percent": 101},
        {"max_ejection_percent": -1},
        {"success_rate_margin": 1.5},
        {"success_rate_sigmas": -1.0},
    ],
)
def test_a_policy_without_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=" "):
        OutlierPolicy(**wrong)  # type: ignore[arg-type]


# whatever happens

NAMES = "abcdefg"
SOME = st.sets(st.sampled_from(NAMES))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fail"), st.sampled_from(NAMES)),
        st.tuples(st.just("check"), st.sampled_from(NAMES)),
        st.tuples(st.just("replace"), SOME, SOME),
        st.tuples(st.just("wait"), st.integers(1, 70)),
        st.tuples(st.just("count"), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=7, max_size=7)),
    ),
    max_size=60,
)


@given(STEPS, st.sampled_from([0, 10, 50, 80, 100]))
def test_never_are_too_many_ejected_nor_all_usable_nor_anyone_for_too_long(steps: list[tuple[Any, ...]], percent: int) -> None:
    servers = Servers(NAMES, OutlierPolicy(max_ejection_percent=percent))
    ejections = servers.ejections
    there, usable = set(NAMES), set(NAMES)
    out: set[str] = set()
    events: list[Ejected[str] | Returned[str] | None] = []
    for step in steps:
        match step:
            case "fail", name:
                events = [servers.fail(name)]
            case "check", name:
                events = [ejections.passed_check(name, servers.now)]
            case "replace", named, takes:
                there, usable = set(named), set(named) & set(takes)
                events = [*ejections.replace(sorted(there), sorted(usable), servers.now)]
                out &= there
            case "wait", seconds:
                events = [*servers.wait(seconds)]
            case "count", counts:
                events = []
                for name, (successes, failures) in zip(NAMES, counts, strict=True):
                    ejections.merge(name, successes, failures)
        for event in events:
            if isinstance(event, Ejected):
                assert event.server not in out
                assert 30.0 <= event.until_s - servers.now <= 300.0 or step[0] == "wait"
                out.add(event.server)
            elif event is not None:
                assert event.server in out
                out.remove(event.server)
        assert {name for name in NAMES if name in ejections} == out, "the events tell all"
        assert len(ejections) == len(out) <= len(there) * percent // 100
        assert out <= usable
        assert not usable or usable - out
        for name in out:
            standing = ejections.standing(name)
            assert isinstance(standing, Standing)
            assert servers.now < standing.until_s <= servers.now + 300.0
