"""Which servers a DNS name stands for: new ones join, missing ones must stay missing, a failure changes nothing."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.config import Address
from scalability.errors import DependencyDown
from scalability.testing.upstreams import fake_pool
from scalability.upstream.discovery import dns
from scalability.upstream.discovery.backend import DNSName
from scalability.upstream.discovery.dns import DNSDiscovery, addresses_of, check_resolver
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream


@pytest.mark.parametrize(("text", "why"), [("ns.example:53", "'ns.example' is not an IP address"), ("[::1]:0", "port 0")])
def test_a_resolver_is_an_address_of_a_name_server(text: str, why: str) -> None:
    check_resolver(Address.parse("[::1]:53"))
    with pytest.raises(ValueError, match=f"^resolver: .*{why}"):
        check_resolver(Address.parse(text))


def new_upstream() -> Upstream:
    return Upstream(RoundRobin, fake_pool)


Result = tuple[str, ...] | Exception | None


class DNSDiscoveryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.upstream = new_upstream()
        self.result: Result = ()
        self.asked: list[str] = []
        self.hanging: Deferred[None] | None = None
        find = addresses_of(DNSName.parse("gateway:5000,weight=2,tls"), self.resolve)
        self.discovery = DNSDiscovery(self.clock, "dns:gateway:5000", find, self.upstream)

    async def resolve(self, name: str) -> tuple[str, ...]:
        self.asked.append(name)
        if self.result is None:
            self.hanging = Deferred()
            await self.hanging
        if isinstance(self.result, Exception):
            raise self.result
        return self.result or ()

    def answers(self, *results: Result) -> None:
        for result in results:
            self.result = result
            if self.discovery.running:
                self.clock.advance(2)
            else:
                self.discovery.startService()
                self.addCleanup(self.discovery.stopService)

    def names(self) -> set[str]:
        return {server.name for server in self.upstream}

    def test_every_address_of_the_name_is_a_server_with_the_port_and_the_weight(self) -> None:
        self.answers(("10.0.0.1", "10.0.0.2"))
        assert self.asked == ["gateway"]
        assert self.names() == {"10.0.0.1:5000", "10.0.0.2:5000"}
        assert {(server.weight, server.tls) for server in self.upstream} == {(2, "gateway")}

    def test_it_asks_again_every_two_seconds(self) -> None:
        self.answers(("10.0.0.1",))
        self.clock.advance(1.9)
        assert len(self.asked) == 1
        self.clock.advance(0.1)
        assert len(self.asked) == 2

    def test_discovered_servers_wait_for_a_passed_check(self) -> None:
        self.answers(("10.0.0.1",))
        (server,) = self.upstream
        assert not server.health.state.usable

    def test_a_new_address_joins_and_a_missing_one_leaves(self) -> None:
        self.answers(("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.3"))
        assert self.names() == {"10.0.0.2:5000", "10.0.0.3:5000"}

    def test_the_order_of_the_answer_does_not_matter(self) -> None:
        self.answers(("10.0.0.1", "10.0.0.2"))
        before = list(self.upstream)
        self.answers(("10.0.0.2", "10.0.0.1"))
        assert list(self.upstream) == before

    def test_a_failure_keeps_the_last_good_set_for_ever(self) -> None:
        self.answers(("10.0.0.1",), *[DependencyDown("SERVFAIL")] * 10)
        assert self.names() == {"10.0.0.1:5000"}

    def test_an_empty_answer_counts_from_the_third_in_a_row(self) -> None:
        self.answers(("10.0.0.1",), (), ())
        assert self.names() == {"10.0.0.1:5000"}
        self.answers(())
        assert self.names() == set()

    def test_an_address_between_makes_empty_answers_count_anew(self) -> None:
        self.answers(("10.0.0.1",), (), (), ("10.0.0.1",), (), ())
        assert self.names() == {"10.0.0.1:5000"}

    def test_a_failure_between_empty_answers_neither_counts_nor_resets(self) -> None:
        self.answers(("10.0.0.1",), (), DependencyDown("timeout"), ())
        assert self.names() == {"10.0.0.1:5000"}
        self.answers(())
        assert self.names() == set()

    def test_a_name_that_has_no_address_at_first_gets_its_servers_later(self) -> None:
        self.answers((), DependencyDown("timeout"), (), (), ("10.0.0.9",))
        assert self.names() == {"10.0.0.9:5000"}

    def test_an_error_of_ours_does_not_end_the_asking(self) -> None:
        self.answers(ZeroDivisionError())
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        self.answers(("10.0.0.1",))
        assert self.names() == {"10.0.0.1:5000"}

    def test_no_more_servers_are_taken_than_there_is_room_for(self) -> None:
        self.patch(dns, "MAX_SERVERS", 2)
        self.answers(("10.0.0.1", "10.0.0.2", "10.0.0.3"))
        assert self.names() == {"10.0.0.1:5000", "10.0.0.2:5000"}
        self.answers(("10.0.0.3",))
        assert self.names() == {"10.0.0.3:5000"}

    def test_stopping_while_it_asks_gives_up_soon(self) -> None:
        self.answers(None)
        stopping = self.discovery.stopService()
        self.clock.advance(0.1)
        self.successResultOf(stopping)
        assert self.clock.getDelayedCalls() == []

    def test_one_that_goes_on_where_another_left_off_believes_what_that_one_did(self) -> None:
        self.answers(("10.0.0.1",))
        self.successResultOf(self.discovery.stopService())
        find = addresses_of(DNSName.parse("gateway:5000,weight=7,tls"), self.resolve)
        self.discovery = DNSDiscovery(self.clock, "dns:gateway:5000", find, self.upstream, before=self.discovery)
        self.answers((), ())
        assert self.names() == {"10.0.0.1:5000"}
        self.answers(("10.0.0.1",))
        assert [server.weight for server in self.upstream] == [7]
        self.answers((), (), ())
        assert self.names() == set()

    def test_an_answer_or_a_failure_that_comes_after_the_stop_changes_nothing(self) -> None:
        for late in (("10.0.0.1",), DependencyDown("timeout")):
            self.answers(None)
            stopping = self.discovery.stopService()
            self.result = late
            assert self.hanging is not None
            self.hanging.callback(None)
            self.successResultOf(stopping)
            assert self.names() == set()
