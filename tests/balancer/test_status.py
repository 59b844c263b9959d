"""The JSON of the admin calls: what is decided, what was done, and sums of several processes."""

from typing import Any

from twisted.internet.task import Clock

from scalability.balancer.status import described, ejection, status, used
from scalability.balancer.use import ProcessUse, ServerUse, Use
from scalability.testing.upstreams import fake_pool
from scalability.upstream.history import CheckResult
from scalability.upstream.selection import RoundRobin
from scalability.upstream.server import Mode
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec

ONE, TWO = "192.0.2.1:80", "192.0.2.2:80"

NOW = 1.7e9
"""By the wall clock; it is 50.0 by the upstream's."""


def upstream() -> Upstream:
    clock = Clock()
    clock.advance(50.0)
    made = Upstream(RoundRobin, fake_pool, seconds=clock.seconds)
    specs = [ServerSpec.parse(f"{ONE},weight=3,maxconn=9"), ServerSpec.parse(f"{TWO},backup")]
    made.name_servers("c", specs, trusted=True)
    return made


def test_a_server_is_told_with_what_was_decided_about_it() -> None:
    servers = upstream()
    one, two = servers
    servers.set_mode(one, Mode.DRAIN)
    servers.set_weight(one, 7)
    failure = CheckResult(10.0, 0.5, False, "the check failed: no_answer")
    one.history.add(failure)
    for moment in range(20):
        one.history.add(CheckResult(20.0 + moment, 0.25, True, "the check was answered 200", 200))
    one.counts.checks_passed, one.counts.checks_failed = 20, 1
    told = described(one, servers, [], NOW)
    assert (told["mode"], told["weight"], told["configured_weight"], told["max_active"]) == ("drain", 7, 3, 9)
    assert (told["state"], told["ejected"], told["share"], told["level"]) == ("unchecked", None, 1.0, 0)
    assert described(two, servers, [], NOW)["level"] == 1
    checks = told["checks"]
    assert (checks["passed"], checks["failed"], len(checks["results"])) == (20, 1, 10)
    assert checks["results"][-1] == {
        "at": NOW - 11.0,
        "duration_s": 0.25,
        "passed": True,
        "status": 200,
        "what": "the check was answered 200",
    }
    assert checks["last_failure"]["at"] == NOW - 40.0, "it is older than all results that are kept"


def test_an_ejection_says_since_when_until_when_and_why() -> None:
    servers = upstream()
    one, _ = servers
    assert ejection(one, servers, NOW - 50.0) is None
    servers.suspected(one)
    assert ejection(one, servers, NOW - 50.0) == {"cause": "failures_in_a_row", "since": NOW, "until": NOW + 30.0, "times": 1}


def test_what_one_process_did_stands_as_it_is() -> None:
    use = ServerUse(ONE, 1, 20, False, {"no_answer": 2}, 3, 1, 18, 0.9, 0.05, "open", 20, 12, 1, 7.5)
    told = used([(0, use)])
    assert told == {
        "active": 1,
        "requests": 20,
        "failures": {"no_answer": 2},
        "connections": {"idle": 3, "busy": 1},
        "answers": {"count": 18, "seconds": 0.9},
        "ewma_s": 0.05,
        "breaker": {"state": "open", "requests": 20, "failures": 12, "opened": 1, "open_for_s": 7.5},
    }


def test_what_several_did_is_added_up_and_what_cannot_be_is_listed_by_worker() -> None:
    first = ServerUse(ONE, 1, 20, False, {"no_answer": 2}, ewma_s=0.05, breaker="half-open")
    second = ServerUse(ONE, 2, 30, False, {"no_answer": 1, "bad_answer": 1}, ewma_s=0.02)
    past = ServerUse(ONE, 0, 100, False)
    told = used([(0, past), (1, first), (2, second)])
    assert (told["active"], told["requests"], told["failures"]) == (3, 150, {"no_answer": 3, "bad_answer": 1})
    assert (told["ewma_s"], told["breaker"]["state"]) == (0.05, "half-open")
    assert told["workers"] == [
        {"worker": 1, "active": 1, "requests": 20, "ewma_s": 0.05, "breaker": "half-open"},
        {"worker": 2, "active": 2, "requests": 30, "ewma_s": 0.02, "breaker": "closed"},
    ]


def test_nothing_known_is_nothing_done() -> None:
    told = used([])
    assert (told["active"], told["ewma_s"], told["breaker"]["state"]) == (0, None, "closed")


def test_everything_is_told_with_the_sums_of_all_processes() -> None:
    busy = ProcessUse(
        waiting=2, greatest=5, refused=1, retries=4, denied=1, in_use=1, percent=20, shed_fraction=0.3, tunnels_opened={"x": 1}
    )
    calm = ProcessUse(panic=True, waiting=1, greatest=3, tunnels=2, tunnels_opened={"x": 1, "y": 2})
    gone = ServerUse("192.0.2.9:80", 1, 5, True)
    uses = [Use(0, [ServerUse(ONE, 0, 7, False)]), Use(1, [ServerUse(ONE, 1, 2, False), gone], busy), Use(2, [], calm)]
    told: dict[str, Any] = status(upstream(), "random", uses, NOW)
    assert (told["at"], told["algorithm"], told["panic"], told["workers"]) == (NOW, "random", True, 2)
    assert [(server["name"], server["state"], server["requests"]) for server in told["servers"]] == [
        (ONE, "unchecked", 9),
        (TWO, "unchecked", 0),
        ("192.0.2.9:80", "leaving", 5),
    ]
    assert told["queue"] == {"length": 3, "greatest": 5, "entered": 0, "refused": 1, "expired": 0, "limit": 1024, "timeout_s": 5.0}
    assert (told["retries"]["attempts"], told["retries"]["denied"], told["retries"]["budget_percent"]) == (4, 1, 20)
    assert told["shedding"] == {"fraction": 0.3, "lag_s": 0.0, "shed": 0}
    assert told["tunnels"] == {"open": 2, "opened": {"x": 2, "y": 2}}


def test_of_all_servers_the_last_check_is_told_and_of_one_the_last_ten() -> None:
    servers = upstream()
    one, _ = servers
    for moment in range(20):
        one.history.add(CheckResult(float(moment), 0.25, True, "the check was answered 200", 200))
    told = status(servers, "random", [], NOW)
    assert [result["at"] for result in told["servers"][0]["checks"]["results"]] == [NOW - 31.0]
    assert len(described(one, servers, [], NOW)["checks"]["results"]) == 10


def test_a_server_of_the_past_is_not_shown() -> None:
    told = status(upstream(), "random", [Use(0, [ServerUse("192.0.2.9:80", 0, 5, False)])], NOW)
    assert [server["name"] for server in told["servers"]] == [ONE, TWO]
