"""What ``scalelab-gateway`` can be told."""

from pathlib import Path

import pytest

from scalability.config import Address, ServiceURL, load, render
from scalability.errors import ConfigError
from scalability.gateway.access.config import read_secret
from scalability.gateway.config import CacheURL, GatewayOptions, RequiredClaim
from scalability.resp.url import RedisURL


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
    assert loaded(cache="redis://valkey:6379/1").cache == CacheURL(None, RedisURL.parse("redis://valkey:6379/1"))


def test_a_password_in_the_caches_url_is_shown_nowhere() -> None:
    assert 'cache = "rediss://me:***@valkey:6379"' in render(loaded(cache="rediss://me:hunter2@valkey:6379"))
    for url in (
        "redis://me:hunter2@valkey:0",
        "redi://me:hunter2@valkey",
        "redis://hunter2@valkey",
        "redis://:hunter2@valkey?password_file=f",
    ):
        with pytest.raises(ConfigError, match="--cache") as caught:
            loaded(cache=url)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cache", "redis://127.0.0.1:0"),
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


def test_flags_about_tokens_need_keys_and_become_what_a_route_would_say() -> None:
    assert loaded().jwt() is None
    flags: dict[str, str | list[str]] = {"jwt_audience": ["us"], "jwt_issuer": ["them"], "jwt_require": ["role=admin"], "jwt_leeway": "5"}
    jwt = loaded(jwks_url="https://issuer.example/keys", **flags).jwt()
    assert jwt is not None
    assert (jwt.jwks_url, jwt.secret_file, jwt.audiences, jwt.issuers) == ("https://issuer.example/keys", None, ("us",), ("them",))
    assert (jwt.required(), jwt.leeway_s) == ([("role", "admin")], 5.0)
    for name in ("audience", "issuer", "require"):
        with pytest.raises(ConfigError, match=f"--jwt-{name}: there are no tokens"):
            loaded(**{f"jwt_{name}": flags[f"jwt_{name}"]})
    with pytest.raises(ConfigError, match=r"--jwks-url: .* is not https://"):
        loaded(jwks_url="issuer.example")


def test_tables_of_the_gateway_are_read_from_a_file_and_shown(tmp_path: Path) -> None:
    (file := tmp_path / "lab.toml").write_text(
        '[gateway]\ntrusted_proxy = ["10.0.0.0/8"]\n'
        '[gateway.cors]\norigins = ["*"]\n'
        '[gateway.api_keys]\nfile = "keys"\n'
        "[gateway.rate_limit]\nlimits = [{requests = 5, window = 1}]\n"
    )
    options = load(GatewayOptions, flags={}, environ={}, file=file)
    assert options.cors is not None
    assert options.api_keys is not None
    assert options.rate_limit is not None
    file.write_text(render(options))
    assert load(GatewayOptions, flags={}, environ={}, file=file) == options
    file.write_text('[gateway.cors]\norigins = ["*"]\ncredentials = true\n')
    with pytest.raises(ConfigError, match=r"\[gateway\] cors: credentials cannot go with any origin"):
        load(GatewayOptions, flags={}, environ={}, file=file)


def test_shared_limits_need_a_server_that_can_share_them() -> None:
    assert loaded().rate_limit_store == "memory"
    for cache in ("http://127.0.0.1:5004", "memory:"):
        with pytest.raises(ConfigError, match=r"--rate-limit-store: shared limits need .* --cache redis://HOST:PORT"):
            loaded(rate_limit_store="shared", cache=cache)
    for key, value in (("rate_limit_store", "somewhere"), ("rate_limit_timeout", "0"), ("rate_limit_timeout", "nan")):
        with pytest.raises(ConfigError, match=f"--{key.replace('_', '-')}"):
            loaded(**{key: value})


def test_a_limit_of_a_route_has_another_name_than_those_for_all(tmp_path: Path) -> None:
    (file := tmp_path / "lab.toml").write_text(
        "[gateway.rate_limit]\nlimits = [{requests = 5, window = 1}]\n"
        '[[gateway.routes]]\nprefix = "/a"\nurl = "http://127.0.0.1:1"\n'
        '[gateway.routes.rate_limit]\nlimits = [{requests = 5, window = 1, name = "gateway"}]\n'
    )
    with pytest.raises(ConfigError, match="routes: /a has a limit gateway, as all requests have"):
        load(GatewayOptions, flags={}, environ={}, file=file)
