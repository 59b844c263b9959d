"""Limits whose cells gateways share."""

from collections.abc import Sequence
from typing import Any

import pytest

from scalability.gateway.rate_limits.fields import Limit
from scalability.gateway.rate_limits.gcra import Rate, Verdict
from scalability.gateway.rate_limits.shared import MAX_KEY_BYTES, SharedLimits
from scalability.gateway.rate_limits.store import LimitStore
from scalability.testing.limit_server import LimitedRequest, LimitingGateway, PlayedLimitServer
from scalability.testing.limit_store_conformance import START, LimitStoreConformance

S = 1_000_000_000


class TestSharedLimits(LimitStoreConformance):
    def open(self, rates: Sequence[Rate]) -> LimitStore:
        self.server = PlayedLimitServer()
        self.gateway = LimitingGateway(self.server, rates)
        return self.gateway.store

    def take(self, store: LimitStore, keys: Sequence[bytes], at_ns: int = 0) -> Verdict:
        self.server.now_ns = START + at_ns
        return super().take(store, keys, at_ns)

    def wait(self, answer: Any) -> Verdict:
        self.gateway.clock.advance(0)
        verdict = super().wait(answer)
        assert self.gateway.store.alone == 0
        return verdict


@pytest.fixture
def server() -> PlayedLimitServer:
    return PlayedLimitServer()


def test_gateways_share_a_quota_whatever_their_clocks_say(server: PlayedLimitServer) -> None:
    rates = [Rate(3, 60 * S)]
    early, late = LimitingGateway(server, rates), LimitingGateway(server, rates)
    late.clock.advance(1e9)
    verdicts = [gateway.take().admitted for gateway in (early, late, early, late, early)]
    assert verdicts == [True, True, True, False, False]
    server.now_ns += 20 * S
    assert [early.take().admitted, late.take().admitted] == [True, False]


def test_limits_of_different_routes_names_and_rates_have_cells_of_their_own(server: PlayedLimitServer) -> None:
    gateway = LimitingGateway(server, [Rate(1, 60 * S)])
    stores = [
        SharedLimits([Limit(name, Rate(requests, 60 * S))], [scope], gateway.cells, gateway.local, gateway.clock.seconds)
        for name, requests, scope in (("a", 1, "/a"), ("b", 1, "/a"), ("a", 1, "/b"), ("a", 2, "/a"))
    ]
    asked = [LimitedRequest(store.take([b"k"], 0)) for store in stores]
    gateway.clock.advance(0)
    assert [one.verdict.admitted for one in asked] == [True] * 4
    assert set(server.values) == {
        b"scalelab:rate:/a:a:1/60000000000:k",
        b"scalelab:rate:/a:b:1/60000000000:k",
        b"scalelab:rate:/b:a:1/60000000000:k",
        b"scalelab:rate:/a:a:2/60000000000:k",
    }


def test_a_long_key_is_known_by_its_digest(server: PlayedLimitServer) -> None:
    gateway = LimitingGateway(server, [Rate(1, 60 * S)])
    assert gateway.take(b"/" + b"x" * MAX_KEY_BYTES).admitted
    assert not gateway.take(b"/" + b"x" * MAX_KEY_BYTES).admitted
    assert gateway.take(b"/" + b"x" * (MAX_KEY_BYTES + 1)).admitted
    assert all(len(key) < 200 for key in server.values)


def test_another_value_under_the_key_counts_as_none(server: PlayedLimitServer) -> None:
    gateway = LimitingGateway(server, [Rate(1, 60 * S)])
    server.set(b"scalelab:rate:/a:l0:1/60000000000:k", b"somebody's")
    assert [gateway.take().admitted, gateway.take().admitted] == [True, False]
