"""The clients' side of a balancer: how many clients fit, and who hears of each request."""

from typing import Any

import pytest

from scalability.balancer.config import Algorithm, BalancerOptions
from scalability.balancer.traffic import Traffic, both, clients_that_fit, connections_to, selections
from scalability.config import Address
from scalability.lifecycle import DeadlineWheel
from scalability.testing.memory import MemoryNetwork, MemoryTransport
from scalability.upstream.building import SelectionBuilder
from scalability.upstream.selection import RoundRobin
from scalability.upstream.selection.peak_ewma import PeakEwma
from scalability.upstream.servers import ServerSpec, Upstream


def test_it_never_accepts_more_clients_than_it_is_told() -> None:
    network = MemoryNetwork()
    options = BalancerOptions(max_connections=2, shed_lag_s=0.0)
    wheel = DeadlineWheel(network)
    upstream = Upstream(RoundRobin, connections_to(network, options, wheel))
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
    upstream = Upstream(selections(network, options), connections_to(network, options, wheel))
    assert [type(part) for part in Traffic(network, options, wheel, upstream, via=b"lb").parts] == [SelectionBuilder]


def test_a_pool_has_the_timeouts_of_the_configuration() -> None:
    network = MemoryNetwork()
    wheel = DeadlineWheel(network)
    pool = connections_to(network, BalancerOptions(connect_timeout_s=1.5, answer_timeout_s=7), wheel)(ServerSpec(Address("192.0.2.1", 80)))
    assert (pool.connect_timeout_s, pool.answer_ticks) == (1.5, wheel.ticks(7))


def asked(options: BalancerOptions, request: bytes) -> tuple[MemoryTransport, MemoryTransport]:
    """A client that has sent ``request``, and the server that it reached."""
    network = MemoryNetwork()
    wheel = DeadlineWheel(network)
    upstream = Upstream(RoundRobin, connections_to(network, options, wheel))
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
