"""What policies counted."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock

from scalability.errors import DependencyDown, ScalelabError
from scalability.gateway.access.api_keys import line_for
from scalability.gateway.access.assembly import Access
from scalability.gateway.access.config import APIKeyOptions, JWTOptions
from scalability.gateway.access.metrics import access_metrics
from scalability.gateway.rate_limits.config import LimitOptions, RateLimitOptions
from scalability.gateway.rate_limits.shared_cells import SharedCells
from scalability.testing.exchanges import FakeExchange
from scalability.testing.limit_server import PlayedLimitServer

URL = "https://issuer.example/keys"


def test_refusals_limits_and_keys_are_counted(tmp_path: Path) -> None:
    (file := tmp_path / "keys").write_text(line_for("app", "k" * 40))
    access = Access(Clock())
    limits = RateLimitOptions(limits=(LimitOptions(requests=1, window_s=60),))
    policy = access.policy("/a", jwt=JWTOptions(jwks_url=URL), api_keys=APIKeyOptions(file=str(file)), rate_limit=limits)
    access.policy("/b", jwt=JWTOptions(jwks_url=URL + "?another"))
    for _ in range(3):
        with pytest.raises(ScalelabError):
            policy.admit(FakeExchange())
    registry = CollectorRegistry()
    registry.register(access_metrics(access))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("scalelab_access_refused_total", route="/a", reason="unauthorized") == 1
    assert value("scalelab_access_refused_total", route="/a", reason="too_many_requests") == 2
    assert value("scalelab_rate_limit_requests_total", route="/a", result="admitted") == 1
    assert value("scalelab_rate_limit_requests_total", route="/a", result="refused") == 2
    assert (value("scalelab_rate_limit_cells"), value("scalelab_rate_limit_evicted_total")) == (1, 0)
    assert value("scalelab_jwks_fetches_total", url=URL, result="fetched") == 0
    assert value("scalelab_jwks_keys", url=URL) == 0
    assert value("scalelab_api_keys", file=str(file)) == 1


def test_where_shared_limits_were_decided_is_told() -> None:
    clock, server = Clock(), PlayedLimitServer()
    cells = SharedCells(server.connection(), clock, timeout_s=0.1, draw=lambda: 0.5)
    access = Access(clock, shared_cells=cells)
    policy = access.policy("/a", rate_limit=RateLimitOptions(limits=(LimitOptions(requests=9, window_s=60),)))
    access.startService()
    for broken in (None, DependencyDown()):
        server.broken = broken
        policy.admit(FakeExchange())
        clock.advance(0)
    registry = CollectorRegistry()
    registry.register(access_metrics(access))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"scalelab_rate_limit_{name}", labels)

    assert (value("decisions_total", route="/a", where="shared"), value("decisions_total", route="/a", where="local")) == (1, 1)
    assert (value("shared_up"), value("failures_total"), value("transactions_total"), value("waiting")) == (0, 1, 1, 0)
    access.stopService()
