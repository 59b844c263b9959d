"""Options of the balancer: the promised defaults, and what is refused with which words."""

from pathlib import Path

import pytest

from scalability.balancer.config import Algorithm, BalancerOptions, PathOfURL
from scalability.config import Address, load
from scalability.errors import ConfigError
from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.net.http_server import Timeouts


def test_defaults_are_the_contract_s() -> None:
    options = BalancerOptions()
    assert options.listen == Address("127.0.0.1", 8000)
    assert [str(backend) for backend in options.backend] == ["127.0.0.1:5000", "127.0.0.1:5003"]
    assert (str(options.algorithm), str(options.health_path), options.health_interval_s) == ("round_robin", "/health", 2.0)
    assert options.access_log is None
    assert options.admin is None


def test_backends_come_from_flags_the_environment_and_the_file(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text('[lb]\nbackend = ["127.0.0.1:1,weight=2"]\nhealth_interval = 0.5\n')
    from_file = load(BalancerOptions, flags={}, environ={}, file=file)
    assert [str(backend) for backend in from_file.backend] == ["127.0.0.1:1,weight=2"]
    assert from_file.health_interval_s == 0.5
    environ = {"SCALELAB_LB_BACKEND": "127.0.0.1:2,weight=3 dns:gateway:5000"}
    from_environ = load(BalancerOptions, flags={}, environ=environ, file=file)
    assert [str(backend) for backend in from_environ.backend] == ["127.0.0.1:2,weight=3", "dns:gateway:5000"]
    from_flags = load(BalancerOptions, flags={"backend": ["127.0.0.1:3"]}, environ=environ, file=file)
    assert [str(backend) for backend in from_flags.backend] == ["127.0.0.1:3"]


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("backend", ["127.0.0.1"], "HOST:PORT"),
        ("backend", ["127.0.0.1:99999"], "above 65535"),
        ("backend", ["127.0.0.1:5000,weight=0"], "from 1 to 256"),
        ("backend", ["127.0.0.1:5000,weight=heavy"], "from 1 to 256"),
        ("backend", ["127.0.0.1:5000", "127.0.0.1:5000,weight=2"], "named twice"),
        ("backend", ["127.0.0.1:5000", "127.0.0.1:8000"], "this balancer itself"),
        ("admin", "127.0.0.1:8000", "what --listen listens on already"),
        ("underscore_names", "keep", "drop or pass"),
        ("algorithm", "maglev", "round_robin"),
        ("health_path", "health", "begins with /"),
        ("health_path", "/a b", "spaces"),
        ("health_path", "/\r\nX: y", "begins with /"),
        ("health_interval", "0", "health-interval"),
        ("health_interval", "soon", "health-interval"),
        ("resolver", "nowhere", "HOST:PORT"),
        ("resolver", "ns.example:53", "not an IP address"),
        ("resolver", "127.0.0.1:0", "port 0"),
        ("resolve_interval", "0", "resolve-interval"),
        ("grace", "-1", "grace"),
        ("max_connections", "0", "max-connections"),
        ("max_connections_per_client", "-1", "max-connections-per-client"),
        ("header_timeout", "0", "header-timeout"),
        ("body_timeout", "-3", "body-timeout"),
        ("idle_timeout", "0", "idle-timeout"),
        ("min_body_rate", "-1", "min-body-rate"),
        ("max_header_bytes", "100", "max-header-bytes"),
        ("max_headers", "0", "max-headers"),
        ("tunnel_timeout", "0", "tunnel-timeout"),
        ("upgrade", ["h2c"], "not passed on"),
        ("upgrade", ["HTTP/2.0"], "not passed on"),
        ("upgrade", ["web socket"], "not the name of a protocol"),
        ("upgrade", ["none", "websocket"], "none stands alone"),
        ("max_target_bytes", "0", "max-target-bytes"),
        ("max_target_bytes", "32768", "no place for such a target"),
        ("max_body_bytes", "-1", "max-body-bytes"),
        ("trusted_proxy", ["10.0.0.1/8"], "is 10.0.0.0/8 meant"),
        ("trusted_proxy", ["localhost"], "neither an IP address"),
        ("request_ids", "maybe", "on or off"),
    ],
)
def test_a_bad_value_is_named_with_its_reason(key: str, value: str | list[str], why: str) -> None:
    with pytest.raises(ConfigError, match=why) as error:
        load(BalancerOptions, flags={key: value}, environ={}, file=None)
    assert error.value.key == "--" + key.replace("_", "-")


def test_no_two_listeners_may_have_one_address(tmp_path: Path) -> None:
    flags: dict[str, str | list[str]] = {"tls_cert": [str(tmp_path)], "listen": "127.0.0.1:1", "tls_listen": "127.0.0.1:1"}
    with pytest.raises(ConfigError, match=r"--tls-listen: 127\.0\.0\.1:1 is what --listen listens on already"):
        load(BalancerOptions, flags=flags, environ={}, file=None)
    load(
        BalancerOptions,
        flags={**flags, "listen": "127.0.0.1:0", "tls_listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        environ={},
        file=None,
    )
    # a name may lead elsewhere, and a server on the same port of another host is another one
    load(BalancerOptions, flags={"backend": ["dns:127.0.0.1:8000", "127.0.0.2:8000"]}, environ={}, file=None)


def test_limits_and_timeouts_reach_the_server_under_its_own_names() -> None:
    assert BalancerOptions().limits() == DEFAULT_LIMITS
    assert BalancerOptions().timeouts() == Timeouts()
    options = BalancerOptions(
        header_timeout_s=1,
        body_timeout_s=2,
        idle_timeout_s=3,
        min_body_rate=4,
        max_header_bytes=5000,
        max_headers=6,
        max_target_bytes=700,
        max_body_bytes=8,
        underscore_names="pass",
    )
    assert options.timeouts() == Timeouts(head_s=1, body_s=2, idle_s=3, min_body_bytes_per_s=4)
    assert options.limits() == Limits(max_target_bytes=700, max_head_bytes=5000, max_fields=6, max_body_bytes=8, underscore_names=True)


@pytest.mark.parametrize(
    ("named", "enabled"),
    [
        (None, {b"websocket"}),
        (["none"], set()),
        (["WebSocket", "irc/2.0"], {b"websocket", b"irc/2.0"}),
    ],
)
def test_protocols_that_may_be_switched_to_are_named(named: list[str] | None, enabled: set[bytes]) -> None:
    options = load(BalancerOptions, flags={} if named is None else {"upgrade": named}, environ={}, file=None)
    assert options.upgrades() == enabled
    assert [str(name) for name in options.upgrade] == [name.lower() for name in named or ["websocket"]]


def test_an_unknown_key_in_the_file_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text('[lb]\nbackends = ["127.0.0.1:1"]\n')
    with pytest.raises(ConfigError, match="is backend meant"):
        load(BalancerOptions, flags={}, environ={}, file=file)


def test_an_access_log_that_cannot_be_written_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    BalancerOptions(access_log=tmp_path / "access.log").check_files()
    BalancerOptions().check_files()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="is a folder"):
        BalancerOptions(access_log=tmp_path).check_files()
    with pytest.raises(ConfigError, match="there is no folder"):
        BalancerOptions(access_log=tmp_path / "none" / "access.log").check_files()


def test_an_access_log_without_the_right_to_write_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the tests may run as root, who may write everywhere
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(ConfigError, match="cannot be written"):
        BalancerOptions(access_log=tmp_path / "access.log").check_files()


@pytest.mark.parametrize("text", ["/", "/health", "/health?deep=1", "/a%20b"])
def test_paths_that_a_request_line_can_name_are_taken(text: str) -> None:
    assert str(PathOfURL.parse(text)) == text


def test_an_algorithm_is_written_as_it_is_read() -> None:
    assert str(Algorithm.parse("round_robin")) == "round_robin"
