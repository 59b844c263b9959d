"""The clients' side of a balancer: how many clients fit, and who hears of each request."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from scalability.balancer.config import BalancerOptions
from scalability.balancer.traffic import Connections, Traffic, both, clients_that_fit, selections, stickiness
from scalability.balancer.values import Algorithm, RetryReason
from scalability.config import Address, Network
from scalability.lifecycle import DeadlineWheel
from scalability.proxy.lag import LagSampler
from scalability.testing.memory import MemoryNetwork, MemoryTransport
from scalability.upstream.building import SelectionBuilder
from scalability.upstream.discovery import Backend
from scalability.upstream.selection import RoundRobin
from scalability.upstream.selection.peak_ewma import PeakEwma
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec


def test_it_never_accepts_more_clients_than_it_is_told() -> None:
    network = MemoryNetwork()
    options = BalancerOptions(max_connections=2, shed_lag_s=0.0)
    wheel = DeadlineWheel(network)
    upstream = Upstream(RoundRobin, Connections(network, options, wheel))
    traffic = Traffic(network, options, wheel, upstream, via=b"lb")
    assert traffic.factory.room() == 2
    assert traffic.parts == []


def test_the_algorithm_is_the_one_that_was_asked_for() -> None:
    network = MemoryNetwork()
    assert isinstance(selections(network, BalancerOptions())(), RoundRobin)
    selection = selections(network, BalancerOptions(algorithm=Algorithm("peak_ewma")))()
    assert isinstance(selection, PeakEwma)
    assert selection._clock() == network.seconds()


def test_an_algorithm_that_builds_its_choices_has_a_part_that_does_so() -> None:
    network = MemoryNetwork()
    options = BalancerOptions(algorithm=Algorithm("maglev"), shed_lag_s=0.0)
    wheel = DeadlineWheel(network)
    upstream = Upstream(selections(network, options), Connections(network, options, wheel))
    assert [type(part) for part in Traffic(network, options, wheel, upstream, via=b"lb").parts] == [SelectionBuilder]


def test_a_pool_has_the_timeouts_of_the_configuration() -> None:
    network = MemoryNetwork()
    wheel = DeadlineWheel(network)
    pool = Connections(network, BalancerOptions(connect_timeout_s=1.5, answer_timeout_s=7), wheel)(ServerSpec(Address("192.0.2.1", 80)))
    assert (pool.connect_timeout_s, pool.answer_ticks) == (1.5, wheel.ticks(7))


def asked(options: BalancerOptions, request: bytes) -> tuple[MemoryTransport, MemoryTransport]:
    """A client that has sent ``request``, and the server that it reached."""
    network = MemoryNetwork()
    wheel = DeadlineWheel(network)
    upstream = Upstream(RoundRobin, Connections(network, options, wheel))
    upstream.name_servers("test", [ServerSpec(Address("192.0.2.1", 80))], trusted=True)
    client = network.connect_to(Traffic(network, options, wheel, upstream, via=b"lb").factory)
    client.deliver(request)
    return client, network.accept()


@pytest.mark.parametrize(("what", "passes"), [("drop", False), ("pass", True)])
def test_rule_29_the_operator_says_what_becomes_of_names_with_underscores(what: Any, passes: bool) -> None:
    _, server = asked(BalancerOptions(underscore_names=what), b"GET / HTTP/1.1\r\nHost: x\r\nAPI_Key: y\r\n\r\n")
    assert (b"\r\nAPI_Key: y\r\n" in server.taken()) is passes


@pytest.mark.parametrize("aborts", [False, True])
def test_rule_42_the_operator_says_what_a_fin_means(aborts: bool) -> None:
    client, server = asked(BalancerOptions(abort_on_close=aborts), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    client.finish()
    assert (server.ended == "reset") is aborts
    if not aborts:
        server.deliver(b"HTTP/1.1 204 No Content\r\n\r\n")
        assert client.taken().startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize(
    ("wanted", "open_files", "fit"), [(10_000, 65_536, 10_000), (10_000, 20_000, 9_950), (10, 1024, 10), (10, 50, 1), (10_000, -1, 10_000)]
)
def test_no_more_clients_are_accepted_than_there_are_files_for(wanted: int, open_files: int, fit: int) -> None:
    assert clients_that_fit(wanted, open_files) == fit


def test_both_are_called() -> None:
    calls: list[str] = []
    exchange: Any = object()
    both(lambda e, s: calls.append(f"first {s}"), lambda e, s: calls.append(f"second {s}"))(exchange, 1.0)
    assert calls == ["first 1.0", "second 1.0"]


def traffic_of(**options: Any) -> Traffic:
    network = MemoryNetwork()
    asked = BalancerOptions(**options)
    wheel = DeadlineWheel(network)
    return Traffic(network, asked, wheel, Upstream(selections(network, asked), Connections(network, asked, wheel)), via=b"lb")


def test_decisions_are_remembered_unless_none_are_to_be() -> None:
    assert traffic_of().proxy.decisions is not None
    assert traffic_of(explained_requests=0).proxy.decisions is None


def test_the_loop_is_watched_unless_nothing_is_ever_to_be_turned_away() -> None:
    assert [type(part) for part in traffic_of().parts] == [LagSampler]
    assert traffic_of(shed_lag_s=0.0).parts == []


def test_clients_are_bound_by_the_keys_of_the_file_or_by_one_of_this_start_s(tmp_path: Path) -> None:
    assert traffic_of().proxy.stickiness is None
    file = tmp_path / "keys"
    file.write_text("a" * 32 + "\n")
    first, second = (stickiness(BalancerOptions(sticky="cookie", sticky_key_file=file)) for _ in range(2))
    other = stickiness(BalancerOptions(sticky="cookie"))
    cookies = []
    for each in (first, second, other):
        assert each is not None
        (server,) = servers_of("192.0.2.1:80")
        each.replace([server])
        cookies.append(each.set_cookie(server, secure=False))
    assert cookies[0] == cookies[1] != cookies[2]


def servers_of(text: str) -> Upstream:
    network = MemoryNetwork()
    upstream = Upstream(RoundRobin, Connections(network, BalancerOptions(), DeadlineWheel(network)))
    upstream.name_servers("test", [ServerSpec.parse(text)], trusted=True)
    return upstream


def test_a_file_of_keys_that_cannot_be_read_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        stickiness(BalancerOptions(sticky="cookie", sticky_key_file=tmp_path / "none"))


def test_the_budget_and_the_policy_of_retries_are_those_of_the_flags() -> None:
    retries = traffic_of(retries=7, retry_budget=33).proxy.retries
    assert (retries.policy.retries, retries.budget.percent) == (7, 33)


def test_other_options_hold_for_requests_and_pools_from_then_on() -> None:
    network = MemoryNetwork()
    wheel = DeadlineWheel(network)
    options = BalancerOptions(proxy_protocol_from=(Network.parse("10.0.0.0/8"),))
    connections = Connections(network, options, wheel)
    upstream = Upstream(RoundRobin, connections)
    upstream.name_servers("test", [ServerSpec(Address("192.0.2.1", 80))], trusted=True)
    traffic = Traffic(network, options, wheel, upstream, via=b"lb")
    new = replace(
        options,
        connect_timeout_s=1.5,
        answer_timeout_s=7.0,
        header_timeout_s=4.0,
        tunnel_timeout_s=9.0,
        max_body_bytes=5,
        retries=7,
        retry_on=(RetryReason("server_error"),),
        retry_budget=90,
        hedge_after_s=0.5,
    )
    connections.configure(new, upstream)
    traffic.configure(new)
    (server,) = upstream
    for pool in (server.pool, connections(ServerSpec(Address("192.0.2.2", 80)))):
        assert (pool.connect_timeout_s, pool.answer_ticks, pool.limits) == (1.5, wheel.ticks(7), new.limits())
    assert (traffic.factory.limits.max_body_bytes, traffic.factory.head_ticks) == (5, wheel.ticks(4))
    assert (traffic.proxy.tunnel_ticks, traffic.plain._announcements.timeout_s) == (wheel.ticks(9), 4.0)
    assert traffic.proxy.hedge_s == 0.5
    retries = traffic.proxy.retries
    assert (retries.policy.retries, 500 in retries.statuses, retries.budget.percent) == (7, True, 90)


def test_servers_may_come_to_speak_tls_later() -> None:
    network = MemoryNetwork()
    pool = Connections(network, BalancerOptions(backend=(Backend.parse("a:1"),)), DeadlineWheel(network))
    assert pool(ServerSpec(Address("192.0.2.1", 80))).secure is None
    assert pool(ServerSpec(Address("192.0.2.1", 80), tls="a.example")).secure is not None
