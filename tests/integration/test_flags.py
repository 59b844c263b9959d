"""Every plugin's flags, by the names that are promised: each explained by --help, each also from a file and the environment."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process

CHECKS = (
    "mode",
    "path",
    "method",
    "header",
    "status",
    "body",
    "interval",
    "timeout",
    "fast-interval",
    "down-interval",
    "jitter",
    "rise",
    "fall",
    "initial",
)
LOOK_ASIDE = ("near-ttl", "near-max-entries", "near-max-bytes", "negative-ttl", "ttl-jitter", "lease", "early-refresh")
ALL = ("listen", "admin", "config", "check-config")
FLAGS = {
    "scalelab-lb": (
        *ALL,
        "backend",
        "algorithm",
        "workers",
        "access-log",
        "access-log-format",
        "state-file",
        "total-timeout",
        *(f"health-{name}" for name in CHECKS),
    ),
    "scalelab-gateway": (
        *ALL,
        "cache",
        "database",
        "microservice",
        "worker",
        "ttl",
        "stale-ttl",
        *LOOK_ASIDE,
        "jwt-secret-file",
        "jwks-url",
        "jwt-require",
        "jwt-audience",
        "jwt-issuer",
        "jwt-leeway",
        "jwks-timeout",
        "jwks-cooldown",
        "trusted-proxy",
        "access-log",
        "access-log-format",
        "route",
        "cache-max-bytes",
        "cache-max-object-bytes",
        "admin-token-file",
    ),
    "scalelab-cache": (
        *ALL,
        *("resp", "no-resp", "resp-password-file", "resp-unprotected", "resp-max-clients"),
        *("ttl", "sweep-interval", "max-bytes", "max-value-bytes", "max-entries"),
        *("snapshot", "snapshot-interval"),
    ),
    "scalelab-database": (*ALL, "store", "latency", "concurrency"),
    "scalelab-microservice": (*ALL, "service-time", "kind", "concurrency"),
    "scalelab-worker": (*ALL, "store", "concurrency", "tasks"),
    "scalelab": ("config", "check-config", "gateways", "data-dir"),
}
DEFAULTS = {
    "scalelab-lb": {
        "listen": "127.0.0.1:8000",
        "backend": ["127.0.0.1:5000", "127.0.0.1:5003"],
        "algorithm": "round_robin",
        "health_path": "/health",
        "health_interval": 2.0,
        "workers": 1,
    },
    "scalelab-gateway": {
        "listen": "127.0.0.1:5000",
        "cache": "http://127.0.0.1:5004",
        "database": "http://127.0.0.1:5002",
        "microservice": "http://127.0.0.1:5001",
        "worker": "http://127.0.0.1:5005",
        "ttl": 30.0,
        "stale_ttl": 300.0,
        "near_ttl": 1.0,
        "near_max_entries": 10_000,
        "near_max_bytes": 16 << 20,
        "negative_ttl": 1.0,
        "ttl_jitter": 0.05,
        "lease": 2.0,
        "early_refresh": 1.0,
    },
    "scalelab-cache": {"listen": "127.0.0.1:5004", "ttl": 30.0, "sweep_interval": 1.0, "max_bytes": 256 << 20, "max_entries": 0},
    "scalelab-database": {"listen": "127.0.0.1:5002", "latency": 0.0, "concurrency": 100},
    "scalelab-microservice": {"listen": "127.0.0.1:5001", "service_time": 0.0, "kind": "sleep", "concurrency": 100},
    "scalelab-worker": {"listen": "127.0.0.1:5005", "concurrency": 10},
}
SERVERS = tuple(DEFAULTS)

Starts = Callable[..., Process]


def finished(start: Starts, plugin: str, *flags: str, **more: object) -> Process:
    process = start(plugin, *flags, listen=None, **more)
    process.wait(timeout_s=20)
    return process


@pytest.mark.parametrize("plugin", FLAGS)
def test_help_explains_every_flag_in_a_sentence(start: Starts, plugin: str) -> None:
    process = finished(start, plugin, "--help")
    assert process.status == 0
    words = process.stdout
    for flag in FLAGS[plugin]:
        assert f"--{flag}" in words, flag
        explained = words.partition(f"--{flag}")[2].lstrip("=").strip().splitlines()[0]
        assert len(explained) > 20, flag


@pytest.mark.parametrize("plugin", SERVERS)
def test_check_config_prints_the_promised_defaults(start: Starts, plugin: str, tmp_path: Path) -> None:
    process = finished(start, plugin, "--check-config", cwd=tmp_path)
    assert process.status == 0, process.output
    (table,) = tomllib.loads(process.stdout).values()
    for key, value in DEFAULTS[plugin].items():
        assert table[key] == value, key
    assert list(tmp_path.iterdir()) == [], "looking at the configuration leaves nothing behind"


@pytest.mark.parametrize("plugin", SERVERS)
def test_what_check_config_prints_is_a_configuration_file(start: Starts, plugin: str, tmp_path: Path) -> None:
    first = finished(start, plugin, "--check-config", "--listen", "127.0.0.1:7777", cwd=tmp_path)
    file = tmp_path / "printed.toml"
    file.write_text(first.stdout)
    second = finished(start, plugin, "--check-config", "--config", str(file), cwd=tmp_path)
    assert second.stdout == first.stdout
    assert "127.0.0.1:7777" in second.stdout


def test_a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default(start: Starts, tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text('[cache]\nttl = 1\nsweep_interval = 2\nmax_entries = 3\n[lb]\nbackend = ["127.0.0.1:1,weight=2"]\n')
    environ = {"SCALELAB_CACHE_TTL": "10", "SCALELAB_CACHE_SWEEP_INTERVAL": "20"}
    process = finished(start, "scalelab-cache", "--check-config", "--config", str(file), "--ttl", "100", env=environ)
    table = tomllib.loads(process.stdout)["cache"]
    assert (table["ttl"], table["sweep_interval"], table["max_entries"], table["max_bytes"]) == (100, 20, 3, 256 << 20)


def test_repeatable_values_are_separated_by_spaces_in_the_environment(start: Starts) -> None:
    environ = {"SCALELAB_LB_BACKEND": "127.0.0.1:1,weight=2 dns:gateway:5000"}
    process = finished(start, "scalelab-lb", "--check-config", env=environ)
    assert tomllib.loads(process.stdout)["lb"]["backend"] == ["127.0.0.1:1,weight=2", "dns:gateway:5000"]


@pytest.mark.parametrize("plugin", SERVERS)
def test_an_unknown_key_in_the_file_is_one_line_that_names_it(start: Starts, plugin: str, tmp_path: Path) -> None:
    component = plugin.removeprefix("scalelab-")
    file = tmp_path / "bad.toml"
    file.write_text(f"[{component}]\nlisten_on = 3\n")
    process = finished(start, plugin, "--check-config", "--config", str(file))
    assert process.status == 1
    assert len(process.stderr.strip().splitlines()) == 1
    assert "listen_on" in process.stderr


@pytest.mark.parametrize(
    ("plugin", "flags", "named"),
    [
        ("scalelab-cache", ["--listen", "127.0.0.1:99999"], "--listen"),
        ("scalelab-cache", ["--listen", "nonsense"], "--listen"),
        ("scalelab-cache", ["--ttl", "-1"], "--ttl"),
        ("scalelab-cache", ["--ttl", "soon"], "--ttl"),
        ("scalelab-cache", ["--max-bytes", "0"], "--max-bytes"),
        ("scalelab-lb", ["--backend", "127.0.0.1"], "--backend"),
        ("scalelab-lb", ["--backend", "127.0.0.1:1,weight=257"], "--backend"),
        ("scalelab-lb", ["--backend", "dns:name"], "--backend"),
        ("scalelab-lb", ["--algorithm", "fastest"], "--algorithm"),
        ("scalelab-lb", ["--health-interval", "0"], "--health-interval"),
        ("scalelab-lb", ["--health-path", "health"], "--health-path"),
        ("scalelab-lb", ["--health-body", "(a+)+"], "--health-body"),
        ("scalelab-lb", ["--health-mode", "tcp", "--health-path", "/live"], "--health-path"),
        ("scalelab-lb", ["--workers", "0"], "--workers"),
        ("scalelab-lb", ["--workers", "9", "--max-connections", "8"], "--max-connections"),
        ("scalelab-lb", ["--access-log", "/nowhere/at/all/access.log"], "--access-log"),
        ("scalelab-gateway", ["--access-log", "/nowhere/at/all/access.log"], "--access-log"),
        ("scalelab-gateway", ["--cache", "redis://127.0.0.1:0"], "--cache"),
        ("scalelab-gateway", ["--cache", "redis://:secret@127.0.0.1?db=1"], "--cache"),
        ("scalelab-gateway", ["--cache", "redis://127.0.0.1?password_file=/nowhere/at/all"], "--cache"),
        ("scalelab-gateway", ["--cache", "rediss://127.0.0.1?ca=/nowhere/at/all"], "--cache"),
        ("scalelab-gateway", ["--near-ttl", "-1"], "--near-ttl"),
        ("scalelab-gateway", ["--near-max-bytes", "0"], "--near-max-bytes"),
        ("scalelab-gateway", ["--ttl-jitter", "1"], "--ttl-jitter"),
        ("scalelab-gateway", ["--lease", "long"], "--lease"),
        ("scalelab-gateway", ["--database", "127.0.0.1:5002"], "--database"),
        ("scalelab-gateway", ["--jwt-secret-file", "/nowhere/at/all"], "--jwt-secret-file"),
        ("scalelab-gateway", ["--jwt-require", "role"], "--jwt-require"),
        ("scalelab-gateway", ["--jwt-audience", "us"], "--jwt-audience"),
        ("scalelab-gateway", ["--jwks-url", "ftp://issuer"], "--jwks-url"),
        ("scalelab-database", ["--store", "postgresql://127.0.0.1/x"], "--store"),
        ("scalelab-database", ["--latency", "-1"], "--latency"),
        ("scalelab-database", ["--concurrency", "0"], "--concurrency"),
        ("scalelab-microservice", ["--kind", "dance"], "--kind"),
        ("scalelab-microservice", ["--service-time", "inf"], "--service-time"),
        ("scalelab-worker", ["--tasks", "no_such_module_here"], "--tasks"),
        ("scalelab-worker", ["--concurrency", "many"], "--concurrency"),
        ("scalelab", ["--gateways", "0"], "--gateways"),
        ("scalelab", ["--listen", "127.0.0.1:1"], "--listen"),
        ("scalelab-cache", ["--bogus"], "--bogus"),
        ("scalelab-cache", ["leftover"], "leftover"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_flag(start: Starts, plugin: str, flags: list[str], named: str, tmp_path: Path) -> None:
    process = finished(start, plugin, *flags, "--check-config", cwd=tmp_path)
    assert process.status == 1, process.output
    assert len(process.stderr.strip().splitlines()) == 1, process.stderr
    assert named in process.stderr
    assert "Traceback" not in process.output


@pytest.mark.parametrize("plugin", SERVERS)
def test_a_taken_port_is_one_line_and_a_failure(start: Starts, plugin: str, tmp_path: Path) -> None:
    taken = start("scalelab-cache").wait_listening()
    process = start(plugin, listen=f"127.0.0.1:{taken}", cwd=tmp_path)
    assert process.wait(timeout_s=20) == 1
    assert len(process.stderr.strip().splitlines()) == 1, process.stderr
    assert str(taken) in process.stderr
    assert "Traceback" not in process.output


@pytest.mark.parametrize("plugin", SERVERS)
def test_a_component_serves_health_and_its_admin_listener_and_ends_on_sigterm(
    start: Starts, http: HTTPClient, plugin: str, tmp_path: Path
) -> None:
    process = start(plugin, "--admin", "127.0.0.1:0", cwd=tmp_path)
    port, admin = process.wait_listening(), process.wait_admin()
    health = http.get(port, "/health")
    assert (health.status, health.json()["status"]) == (200, "ok")
    assert http.get(admin, "/healthz").status == 200
    assert http.get(admin, "/readyz").status in ((503,) if plugin == "scalelab-lb" else (200, 503))
    metrics = http.get(admin, "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "process_cpu_seconds_total" in metrics.text
    nothing = http.get(admin, "/nothing/here")
    assert (nothing.status, nothing.json()["error"]) == (404, "not_found")
    assert process.stop() in (0, -15)
    assert not (tmp_path / "twistd.pid").exists()
    assert "Traceback" not in process.output


def test_all_plugins_run_from_one_folder_and_again_after_a_kill(start: Starts, tmp_path: Path) -> None:
    running = [start(plugin, cwd=tmp_path) for plugin in SERVERS]
    for process in running:
        process.wait_listening()
    for process in running:
        process.kill(9)
        process.wait()
    for plugin in SERVERS:
        start(plugin, cwd=tmp_path).wait_listening()
