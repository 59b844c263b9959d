"""What the admin listener tells, as text."""

from typing import Any

from scalability.balancer.status import status
from scalability.balancer.tables import REASONS, aligned, decisions_table, errors_table, info_lines, servers_table, stat_csv
from scalability.balancer.use import ServerUse, Use
from scalability.proxy.retrying import REASONS as RETRIED
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec


def told() -> dict[str, Any]:
    class FakePool:
        pass

    pool: Any = FakePool()
    upstream = Upstream(RoundRobin, lambda _: pool)
    upstream.name_servers("c", [ServerSpec.parse("192.0.2.1:80,weight=3,maxconn=9"), ServerSpec.parse("192.0.2.200:8080")], trusted=True)
    upstream.set_weight(next(iter(upstream)), 0)
    uses = [
        Use(0, [ServerUse("192.0.2.1:80", 2, 1500, False, {"no_answer": 3}, answered=2, answered_s=0.5), ServerUse("gone:1", 1, 1, True)])
    ]
    return status(upstream, "round_robin", uses, 50.0)


def test_the_servers_are_a_table() -> None:
    assert servers_table(told()).splitlines() == [
        "SERVER            STATE      MODE   WEIGHT  ACTIVE  REQUESTS  FAILED   ANSWER  BREAKER  LAST CHECK",
        "192.0.2.1:80      unchecked  ready   0 (3)     2/9      1500       3  250.0ms  closed   not checked yet",
        "192.0.2.200:8080  unchecked  ready       1       0         0       0        -  closed   not checked yet",
        "gone:1            leaving    -           -       1         1       0        -  closed   -",
        "round_robin; queue 0 of 1024, refused 0, expired 0; retries 0, denied 0; turned away 0",
    ]


def test_columns_are_as_wide_as_their_widest_entry() -> None:
    assert aligned([("a", "1"), ("bbb", "22")], right={1}) == "a     1\nbbb  22"


def test_servers_are_csv_under_haproxys_names() -> None:
    names, *lines = stat_csv(told()).splitlines()
    assert names == "# pxname,svname,qcur,qmax,scur,slim,stot,econ,eresp,wretr,status,weight,act,bck,chkfail,chkdown,rtime"
    assert lines == [
        "lb,192.0.2.1:80,,,2,9,1500,0,3,,no check,0,1,0,0,0,250",
        "lb,192.0.2.200:8080,,,0,,0,0,0,,no check,1,1,0,0,0,0",
        "lb,gone:1,,,1,,1,0,0,,MAINT (leaving),0,1,0,0,0,0",
        "lb,BACKEND,0,0,3,,1501,0,3,0,UP,,3,0,,,",
    ]


def test_the_balancer_as_a_whole_is_a_line_for_each_figure() -> None:
    lines = info_lines(told()).splitlines()
    assert lines[:4] == ["Name: scalelab-lb", "Servers: 3", "Servers_up: 0", "At: 50.0"]
    assert {"Algorithm: round_robin", "Queue_limit: 1024", "Retries_denied: 0", "Shedding_shed: 0"} <= set(lines)


def test_what_went_wrong_is_named() -> None:
    answer = told()
    answer["servers"][1]["checks"]["last_failure"] = {"at": 20.0, "what": "status 500"}
    answer["servers"][1]["ejected"] = {"cause": "in_a_row"}
    assert errors_table(answer).splitlines() == [
        "SERVER            FAILED REQUESTS  EJECTED   LAST FAILED CHECK",
        "192.0.2.1:80      no_answer=3      -         -",
        "192.0.2.200:8080  -                in_a_row  30 s ago: status 500",
        "gone:1            -                -         -",
    ]


def test_what_was_drawn_and_tried_is_shown() -> None:
    drawn = [
        {"server": "a:1", "weight": 1, "share": 1.0, "active": 2, "score": 0.03, "ewma_s": 0.01},
        {"server": "b:1", "weight": 1, "share": 1.0, "active": 0, "score": 0.02, "ewma_s": 0.02},
    ]
    decision = {"server": "b:1", "reason": "no_answer", "tried": ["c:1"], "drawn": drawn, "candidates": [], "candidates_in_all": 0}
    assert decisions_table({"decisions": [decision]}).splitlines()[:5] == [
        "attempt 1: b:1, the connection before broke without an answer (a retry)",
        "  tried before: c:1",
        "  DRAWN  WEIGHT  ACTIVE      EWMA  SCORE",
        "  a:1         1       2  10.000ms   0.03",
        "  b:1         1       0  20.000ms   0.02",
    ]
    assert decisions_table({"decisions": []}) == ""


def test_every_reason_to_retry_has_words() -> None:
    assert set(RETRIED) - {"none", "gateway_error", "server_error"} <= set(REASONS)
