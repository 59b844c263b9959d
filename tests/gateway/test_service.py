"""The gateway as a whole, without a network."""

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs

from scalability.errors import ConfigError
from scalability.gateway.access.assembly import Access
from scalability.gateway.config import CacheURL, GatewayOptions
from scalability.gateway.dependencies import Dependencies
from scalability.gateway.service import gateway_service


def parts(options: GatewayOptions) -> list[Any]:
    service: Any = gateway_service(MemoryReactorClock(), options)
    return list(service)


def test_what_requests_need_starts_before_the_listener() -> None:
    names = [type(part).__name__ for part in parts(GatewayOptions())]
    assert names[-1] == "Listener"
    assert names.index("DeadlineWheel") < names.index("Dependencies") < names.index("LookAside") < names.index("Listener")


def test_every_dependency_has_a_name() -> None:
    (dependencies,) = [part for part in parts(GatewayOptions()) if isinstance(part, Dependencies)]
    assert [one.name for one in dependencies] == ["cache", "database", "microservice", "worker"]


def test_a_cache_in_memory_is_no_dependency_and_is_swept() -> None:
    found = parts(GatewayOptions(cache=CacheURL(None)))
    (dependencies,) = [part for part in found if isinstance(part, Dependencies)]
    assert [one.name for one in dependencies] == ["database", "microservice", "worker"]
    assert "Sweeper" in [type(part).__name__ for part in found]


@pytest.mark.parametrize("store", ["memory", "shared"])
def test_shared_limits_are_asked_for_through_the_caches_client(store: Any) -> None:
    found = parts(GatewayOptions(cache=CacheURL.parse("redis://127.0.0.1:6380"), rate_limit_store=store))
    (access,) = [part for part in found if isinstance(part, Access)]
    assert (access.shared_cells is not None) == (store == "shared")
    names = [type(part).__name__ for part in found]
    assert names.index("RespClient") < names.index("Access")


def test_a_secret_that_is_gone_since_the_check_is_an_error_that_names_the_flag(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--jwt-secret-file"):
        parts(GatewayOptions(jwt_secret_file=str(tmp_path / "none")))


def test_a_short_secret_is_taken_with_a_warning(tmp_path: Path) -> None:
    (file := tmp_path / "secret").write_text("secret")
    with capturedLogs() as events:
        parts(GatewayOptions(jwt_secret_file=str(file)))
    (event,) = [event for event in events if event.get("wanted") == 32]
    assert (event["length"], event["log_level"]) == (6, LogLevel.warn)
