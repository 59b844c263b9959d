"""Options of the balancer: the promised defaults, and what is refused with which words."""

from pathlib import Path

import pytest

from scalability.balancer.config import BalancerOptions
from scalability.balancer.values import CheckField
from scalability.config import Address, load, render
from scalability.errors import ConfigError
from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.net.http_server import Timeouts
from scalability.proxy.retrying import RetryPolicy
from scalability.upstream.pace import Pace
from scalability.upstream.rules import UpstreamRules


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
        ("backend", ["127.0.0.1:5000,weight=257"], "from 0 to 256"),
        ("backend", ["127.0.0.1:5000,weight=heavy"], "from 0 to 256"),
        ("backend", ["127.0.0.1:5000", "127.0.0.1:5000,weight=2"], "named twice"),
        ("algorithm", "fastest", "round_robin"),
        ("backend", ["dns:a:1", "dns:a:1,backup"], "dns:a:1 is named twice"),
        ("backend", ["dns+srv:a", "dns+srv:a,tls"], r"dns\+srv:a is named twice"),
        ("backend", ["file:a", "file:a"], "file:a is named twice"),
        ("backend", ["127.0.0.1:5000", "127.0.0.1:8000"], "this balancer itself"),
        ("admin", "127.0.0.1:8000", "what --listen listens on already"),
        ("underscore_names", "keep", "drop or pass"),
        ("health_path", "health", "begins with /"),
        ("health_path", "/a b", "spaces"),
        ("health_path", "/\r\nX: y", "begins with /"),
        ("health_interval", "0", "health-interval"),
        ("health_interval", "soon", "health-interval"),
        ("health_mode", "ping", "http or tcp"),
        ("health_method", "PUT", "GET, HEAD, OPTIONS or POST"),
        ("health_header", ["Host"], "NAME:VALUE"),
        ("health_header", [": x"], "NAME:VALUE"),
        ("health_header", ["X Y: z"], "NAME:VALUE"),
        ("health_header", ["X: a\r\nY: b"], "printable"),
        ("health_header", ["X: gr\u00fcn"], "printable"),
        ("health_header", ["Content-Length:5"], "checks have no body"),
        ("health_header", ["Host:a", "host:b"], "one Host"),
        ("health_status", "ok", "neither a status"),
        ("health_body", "(", "not a regular expression"),
        ("health_timeout", "2.5", "before the next one begins, within 2 s"),
        ("health_timeout", "0.001", "shorter than 0.01 s"),
        ("health_fast_interval", "3", "longer than the interval of 2 s"),
        ("health_fast_interval", "0.001", "shorter than 0.01 s"),
        ("health_down_interval", "0.001", "shorter than 0.01 s"),
        ("health_jitter", "51", "from 0 to 50"),
        ("health_rise", "0", "from 1 to 100"),
        ("health_fall", "0", "from 1 to 100"),
        ("health_initial", "down", "up or mandatory"),
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


@pytest.mark.parametrize(
    ("flags", "key", "why"),
    [
        ({"health_method": "HEAD", "health_body": "ok"}, "--health-body", "HEAD has no body"),
        ({"health_mode": "tcp", "health_path": "/live"}, "--health-path", "nothing is asked"),
        ({"health_mode": "tcp", "health_method": "HEAD"}, "--health-method", "nothing is asked"),
        ({"health_mode": "tcp", "health_header": ["Host:a"]}, "--health-header", "nothing is asked"),
        ({"health_mode": "tcp", "health_status": "200"}, "--health-status", "nothing is asked"),
        ({"health_mode": "tcp", "health_body": "ok"}, "--health-body", "nothing is asked"),
        ({"health_interval": "1", "health_timeout": "2"}, "--health-timeout", "within 1 s"),
    ],
)
def test_checks_are_not_told_what_does_not_go_together(flags: dict[str, str | list[str]], key: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as error:
        load(BalancerOptions, flags=flags, environ={}, file=None)
    assert error.value.key == key


@pytest.mark.parametrize(
    ("flags", "pace", "timeout_s"),
    [
        ({}, Pace(2.0, 0.5, 0.5, 0.1), 2.0),
        ({"health_interval": "8"}, Pace(8.0, 2.0, 2.0, 0.1), 8.0),
        ({"health_fast_interval": "1", "health_jitter": "0"}, Pace(2.0, 1.0, 1.0, 0.0), 2.0),
        ({"health_down_interval": "30", "health_timeout": "1.5", "health_jitter": "25"}, Pace(2.0, 0.5, 30.0, 0.25), 1.5),
    ],
)
def test_what_is_not_said_about_the_pace_of_checks_follows_from_the_interval(flags: dict[str, str], pace: Pace, timeout_s: float) -> None:
    options = load(BalancerOptions, flags=flags, environ={}, file=None)
    assert options.pace == pytest.approx(pace)
    assert options.check_timeout_s == timeout_s


def test_what_checks_ask_and_expect_survives_the_way_to_a_file_and_back(tmp_path: Path) -> None:
    flags: dict[str, str | list[str]] = {
        "health_method": "OPTIONS",
        "health_header": ["Host:shop.example", "X-A: b c"],
        "health_status": "200,300-399",
        "health_body": '"status": *"ok"',
        "backend": ["file:servers.txt", "dns+srv:_http._tcp.gateway,tls", "127.0.0.1:80,weight=0,backup,maxconn=5"],
    }
    options = load(BalancerOptions, flags=flags, environ={}, file=None)
    assert options.health_header == (CheckField("Host", "shop.example"), CheckField("X-A", "b c"))
    file = tmp_path / "lab.toml"
    file.write_text(render(options))
    assert load(BalancerOptions, flags={}, environ={}, file=file) == options


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


def test_what_is_said_about_failures_reaches_the_rules() -> None:
    options = load(
        BalancerOptions,
        flags={
            "health_rise": "4",
            "health_fall": "5",
            "panic_percent": "30",
            "slow_start": "8",
            "max_queue": "9",
            "queue_timeout": "1.5",
            "eject_failures": "6",
            "eject_time": "400",
            "eject_percent": "20",
            "breaker_percent": "70",
        },
        environ={},
        file=None,
    )
    rules = options.rules()
    assert (rules.rise, rules.fall, rules.panic_percent, rules.slow_start_s) == (4, 5, 30, 8.0)
    assert (rules.max_waiting, rules.queue_timeout_s) == (9, 1.5)
    outlier = rules.outlier
    assert (outlier.failures_in_a_row, outlier.base_ejection_s, outlier.max_ejection_s, outlier.max_ejection_percent) == (6, 400, 400, 20)
    assert rules.breaker.failure_percent == 70


def test_the_defaults_of_rules_and_retries_are_those_of_the_rules_themselves() -> None:
    assert BalancerOptions().rules() == UpstreamRules()
    assert BalancerOptions().retry_policy() == RetryPolicy()


@pytest.mark.parametrize(
    ("flags", "policy"),
    [
        ({"retries": "0"}, RetryPolicy(retries=0)),
        ({"retry_on": ["none"]}, RetryPolicy(reasons=frozenset())),
        ({"retry_on": ["server_error", "answer_timeout"]}, RetryPolicy(reasons=frozenset({"server_error", "answer_timeout"}))),
        ({"retry_body_bytes": "0"}, RetryPolicy(max_body_bytes=0)),
    ],
)
def test_what_is_retried_is_as_the_flags_say(flags: dict[str, str | list[str]], policy: RetryPolicy) -> None:
    assert load(BalancerOptions, flags=flags, environ={}, file=None).retry_policy() == policy


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ({"retry_on": ["none", "no_answer"]}, "none stands alone"),
        ({"retry_on": ["bad_luck"]}, "none of no_answer, bad_answer"),
        ({"retries": "101"}, "retries"),
        ({"retry_budget": "101"}, "retry-budget"),
        ({"panic_percent": "101"}, "panic-percent"),
        ({"queue_timeout": "0"}, "queue-timeout"),
        ({"sticky_key_file": "keys"}, "add --sticky cookie"),
        ({"sticky": "cookie", "workers": "2"}, "keys in common"),
        ({"sticky": "ip"}, "off or cookie"),
        ({"hash_key": "host"}, "client, path, header:NAME, cookie:NAME"),
        ({"backend": ["127.0.0.1:5000,maxconn=1"], "workers": "2"}, "cannot share the maxconn=1"),
        ({"backend": ["127.0.0.1:5000,max_connections=1"], "workers": "2"}, "cannot share the max_connections=1"),
        ({"backend": ["dns+srv:web,max_connections=1"], "workers": "2"}, "cannot share the max_connections=1"),
        ({"backend": ["dns:web:80,maxconn=1"], "workers": "2"}, "cannot share the maxconn=1"),
        ({"backend": ["dns+srv:web,maxconn=1"], "workers": "2"}, "cannot share the maxconn=1"),
        ({"max_queue": "1", "workers": "2"}, "cannot share 1"),
    ],
)
def test_what_makes_no_sense_about_failures_is_refused_with_the_reason(flags: dict[str, str | list[str]], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        load(BalancerOptions, flags=flags, environ={}, file=None)
