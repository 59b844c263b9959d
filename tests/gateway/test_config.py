"""What ``scalelab-gateway`` can be told."""

from pathlib import Path

import pytest

from scalability.config import Address, ServiceURL, load, render
from scalability.errors import ConfigError
from scalability.gateway.config import CacheURL, GatewayOptions, RequiredClaim, read_secret


def loaded(**flags: str | list[str]) -> GatewayOptions:
    return load(GatewayOptions, flags=flags, environ={}, file=None)


def test_the_defaults_are_the_contracts() -> None:
    options = loaded()
    assert options.listen == Address("127.0.0.1", 5000)
    assert [str(url) for url in (options.cache, options.database, options.microservice, options.worker)] == [
        f"http://127.0.0.1:{port}" for port in (5004, 5002, 5001, 5005)
    ]
    assert (options.ttl_s, options.stale_ttl_s, options.jwt_secret_file, options.jwt_require) == (30.0, 300.0, None, ())


def test_the_cache_is_a_server_or_this_processes_memory() -> None:
    assert loaded(cache="memory:").cache == CacheURL(None)
    assert loaded(cache="http://cache:5004").cache == CacheURL(ServiceURL(Address("cache", 5004)))
    assert 'cache = "memory:"' in render(loaded(cache="memory:"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cache", "redis://127.0.0.1:6379"),
        ("cache", "memory"),
        ("cache", "memory://x"),
        ("cache", "http://127.0.0.1:5004/path"),
        ("database", "127.0.0.1:5002"),
        ("database", "https://127.0.0.1:5002"),
        ("ttl", "0"),
        ("ttl", "nan"),
        ("stale_ttl", "-1"),
        ("near_ttl", "-1"),
        ("near_max_entries", "0"),
        ("near_max_bytes", "1"),
        ("negative_ttl", "-1"),
        ("ttl_jitter", "1"),
        ("lease", "-1"),
        ("early_refresh", "-1"),
        ("timeout", "0"),
        ("cache_timeout", "never"),
        ("health_interval", "0"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"--{key.replace('_', '-')}"):
        loaded(**{key: value})


def test_required_claims_are_read_and_need_a_secret() -> None:
    options = loaded(jwt_secret_file="x", jwt_require=["role=admin", "path=/a=b"])
    assert options.jwt_require == (RequiredClaim("role", "admin"), RequiredClaim("path", "/a=b"))
    assert [str(claim) for claim in options.jwt_require] == ["role=admin", "path=/a=b"]
    with pytest.raises(ConfigError, match="--jwt-require"):
        loaded(jwt_require=["role=admin"])
    for wrong in ("role", "=admin", ""):
        with pytest.raises(ConfigError, match="--jwt-require"):
            loaded(jwt_secret_file="x", jwt_require=[wrong])


def test_a_secret_is_the_files_content_without_its_last_line_end(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b" s\xffcret \r\n")
    assert read_secret(str(file)).material == b" s\xffcret "
    for content in (b"", b"\n"):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match="empty"):
            read_secret(str(file))
    with pytest.raises(ConfigError, match="cannot read"):
        read_secret(str(tmp_path / "none"))
