"""SRV records become servers: priority, weight, port, and the addresses of the targets, as long as those can be found out."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from scalability.errors import DependencyDown
from scalability.upstream.discovery.backend import ServiceName
from scalability.upstream.discovery.srv import AT_ONCE, ServiceRecord, ServiceTargets, scaled

DOWN = DependencyDown("no name server answered in time")


class Names:
    """A name server: ``records`` of the service and ``addresses`` of targets, or the errors that it answers with."""

    def __init__(self, service: str = "_http._tcp.gateway") -> None:
        self.records: list[ServiceRecord] | Exception = []
        self.addresses: dict[str, tuple[str, ...] | Exception] = {}
        self.asked: list[str] = []
        self.waiting: list[Deferred[None]] | None = None
        self.find = ServiceTargets(ServiceName.parse(service), self.services, self.resolve)

    async def services(self, name: str) -> Sequence[ServiceRecord]:
        assert name == "_http._tcp.gateway"
        if isinstance(self.records, Exception):
            raise self.records
        return self.records

    async def resolve(self, name: str) -> tuple[str, ...]:
        self.asked.append(name)
        if self.waiting is not None:
            waiting: Deferred[None] = Deferred()
            self.waiting.append(waiting)
            await waiting
        found = self.addresses.get(name, ())
        if isinstance(found, Exception):
            raise found
        return found

    def found(self) -> list[str]:
        """The servers that are found now. Raises DependencyDown."""
        outcome: list[Any] = []
        Deferred.fromCoroutine(self.find()).addBoth(outcome.append)
        (result,) = outcome
        if not isinstance(result, list):
            result.raiseException()
        return list(map(str, result))


def record(target: str, *, priority: int = 0, weight: int = 1, port: int = 80, addresses: tuple[str, ...] = ()) -> ServiceRecord:
    return ServiceRecord(priority, weight, port, target, addresses)


def test_every_address_of_every_target_is_a_server_on_the_record_s_port() -> None:
    names = Names()
    names.records = [record("a", port=81), record("b", port=82)]
    names.addresses = {"a": ("10.0.0.2", "10.0.0.1"), "b": ("2001:db8::1",)}
    assert names.found() == ["10.0.0.1:81", "10.0.0.2:81", "[2001:db8::1]:82"]


def test_addresses_that_came_along_are_not_asked_for() -> None:
    names = Names()
    names.records = [record("a", addresses=("10.0.0.1",)), record("b")]
    names.addresses = {"b": ("10.0.0.2",)}
    assert names.found() == ["10.0.0.1:80", "10.0.0.2:80"]
    assert names.asked == ["b"]


def test_the_priority_becomes_a_level_whatever_the_numbers_are() -> None:
    names = Names()
    names.records = [record("c", priority=700), record("a", priority=10), record("b", priority=20), record("d", priority=10)]
    names.addresses = {name: (f"10.0.0.{place}",) for place, name in enumerate("abcd", 1)}
    assert names.found() == ["10.0.0.1:80", "10.0.0.4:80", "10.0.0.2:80,backup", "10.0.0.3:80,level=2"]


def test_no_level_is_beyond_the_last() -> None:
    names = Names()
    names.records = [record("a", priority=place, port=1 + place, addresses=("10.0.0.1",)) for place in range(200)]
    assert names.found()[-1] == "10.0.0.1:200,level=127"


@pytest.mark.parametrize(
    ("weight", "heaviest", "scaled_to"),
    [(0, 0, 1), (0, 10, 1), (10, 90, 10), (256, 256, 256), (65535, 65535, 256), (32768, 65535, 128), (10, 65535, 1), (300, 600, 128)],
)
def test_weights_keep_their_proportion(weight: int, heaviest: int, scaled_to: int) -> None:
    assert scaled(weight, heaviest) == scaled_to


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=20))
def test_weights_are_always_from_1_to_256_in_their_order(weights: list[int]) -> None:
    heaviest = max(weights)
    ours = [scaled(weight, heaviest) for weight in sorted(weights)]
    assert ours == sorted(ours)
    assert ours[0] >= 1
    assert ours[-1] <= 256


def test_weights_are_scaled_among_the_records_of_their_priority() -> None:
    names = Names()
    names.records = [
        record("a", weight=60000, addresses=("10.0.0.1",)),
        record("b", weight=15000, addresses=("10.0.0.2",)),
        record("c", priority=1, weight=7, addresses=("10.0.0.3",)),
    ]
    assert sorted(names.found()) == ["10.0.0.1:80,weight=256", "10.0.0.2:80,weight=64", "10.0.0.3:80,weight=7,backup"]


def test_the_order_of_the_answer_does_not_matter() -> None:
    names = Names()
    records = [record("b", addresses=("10.0.0.3", "10.0.0.2")), record("a", addresses=("10.0.0.1",))]
    names.records = records
    before = names.found()
    names.records = [record("a", addresses=("10.0.0.1",)), record("b", addresses=("10.0.0.2", "10.0.0.3"))]
    assert names.found() == before


def test_an_address_that_two_records_lead_to_is_one_server_of_the_first_level() -> None:
    names = Names()
    names.records = [record("b", priority=2, addresses=("10.0.0.1",)), record("a", priority=1, addresses=("10.0.0.1",))]
    assert names.found() == ["10.0.0.1:80"]


def test_options_of_the_service_hold_for_each_server() -> None:
    for service, written in (
        ("_http._tcp.gateway,maxconn=9,tls", "10.0.0.1:80,maxconn=9,tls=a.example"),
        ("_http._tcp.gateway,tls=shop.example", "10.0.0.1:80,tls=shop.example"),
    ):
        names = Names(service)
        names.records = [record("a.example", addresses=("10.0.0.1",))]
        assert names.found() == [written]


def test_a_service_that_cannot_be_asked_for_is_a_failure() -> None:
    names = Names()
    names.records = DOWN
    with pytest.raises(DependencyDown, match="in time"):
        names.found()


def test_no_record_is_no_server() -> None:
    assert Names().found() == []


def test_a_target_that_cannot_be_resolved_keeps_its_addresses() -> None:
    names = Names()
    names.records = [record("a"), record("b")]
    names.addresses = {"a": ("10.0.0.1",), "b": ("10.0.0.2",)}
    names.found()
    names.addresses["a"] = DOWN
    for _ in range(5):
        assert names.found() == ["10.0.0.1:80", "10.0.0.2:80"]


def test_a_target_without_an_address_keeps_those_it_had_until_the_third_time() -> None:
    names = Names()
    names.records = [record("a"), record("b")]
    names.addresses = {"a": ("10.0.0.1",), "b": ("10.0.0.2",)}
    names.found()
    names.addresses["a"] = ()
    assert [len(names.found()) for _ in range(4)] == [2, 2, 1, 1]


def test_a_new_target_that_cannot_be_resolved_is_not_there_yet() -> None:
    names = Names()
    names.records = [record("a"), record("b")]
    names.addresses = {"a": ("10.0.0.1",), "b": DOWN}
    assert names.found() == ["10.0.0.1:80"]


def test_targets_of_which_none_can_be_resolved_are_a_failure_and_not_an_empty_service() -> None:
    names = Names()
    names.records = [record("a")]
    names.addresses = {"a": DOWN}
    with pytest.raises(DependencyDown, match="a: no name server"):
        names.found()
    names.addresses = {"a": ()}
    assert names.found() == []


def test_a_target_that_the_service_no_longer_names_is_forgotten() -> None:
    names = Names()
    names.records = [record("a", addresses=("10.0.0.1",))]
    names.found()
    names.records = [record("b", addresses=("10.0.0.2",))]
    assert names.found() == ["10.0.0.2:80"]
    names.records = [record("a")]
    names.addresses = {"a": DOWN}
    with pytest.raises(DependencyDown):
        names.found()


def test_an_empty_answer_between_leaves_the_targets_known() -> None:
    names = Names()
    names.records = [record("a")]
    names.addresses = {"a": ("10.0.0.1",)}
    names.found()
    names.records = []
    assert names.found() == []
    names.records = [record("a")]
    names.addresses = {"a": DOWN}
    assert names.found() == ["10.0.0.1:80"]


def test_only_so_many_targets_are_asked_for_at_once_and_each_once() -> None:
    names = Names()
    names.waiting = []
    names.records = [record(f"t{place}", port=port) for place in range(40) for port in (80, 81)]
    names.addresses = {f"t{place}": (f"10.0.0.{place}",) for place in range(40)}
    outcome: list[Any] = []
    Deferred.fromCoroutine(names.find()).addBoth(outcome.append)
    assert len(names.waiting) == AT_ONCE
    while names.waiting:
        names.waiting.pop().callback(None)
    assert len(outcome[0]) == 80
    assert len(names.asked) == 40
