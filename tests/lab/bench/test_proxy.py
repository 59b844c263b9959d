"""What the proxy benchmark makes of its samples."""

import pytest

from scalability.lab.bench import proxy as module
from scalability.lab.bench.programs import free_port, upstream
from scalability.lab.bench.proxy import CROWD, LARGE, SMALL, _arm, conclude, idle_bytes
from scalability.lab.bench.rounds import Sample


def sample(cpu_us: float) -> Sample:
    return Sample(1000, 0, 1.0, cpu_us, p50_s=0.001, p99_s=0.002)


def test_every_target_is_stated_beside_what_was_measured() -> None:
    taken = {
        SMALL.name: {"scalelab-lb": [sample(11.0)], "haproxy": [sample(10.0)], "nginx": [sample(12.0)]},
        CROWD.name: {"scalelab-lb": [sample(16.5)], "haproxy": [sample(12.0)], "nginx": [sample(12.0)]},
        LARGE.name: {"scalelab-lb": [sample(1000.0)], "haproxy": [sample(800.0)], "nginx": [sample(500.0)]},
    }
    said: list[str] = []
    figures = conclude(taken, {"scalelab-lb": 5120.0, "haproxy": 1024.0}, 250.0, 260.0, said.append)
    text = "\n".join(said)
    assert "CPU of a small request: 1.10 [1.10, 1.10] times HAProxy's (wanted: at most 1.2)" in text
    assert "bytes per CPU second at 1 MiB: 0.80 [0.80, 0.80] times HAProxy's (wanted: at least 0.7)" in text
    assert "CPU of a request at 1,000 connections: 1.50 [1.50, 1.50] times that at 64" in text
    assert "an idle keep-alive connection of scalelab-lb: 5.0 KiB resident (wanted: at most 6.0)" in text
    assert "choosing among 1,000 equal servers: 260 ns, among 2: 250 ns" in text
    assert figures[f"{SMALL.name}: CPU against haproxy"] == pytest.approx([1.1, 1.1, 1.1])


def test_without_other_proxies_ours_is_still_measured() -> None:
    said: list[str] = []
    conclude({SMALL.name: {"scalelab-lb": [sample(11.0)]}}, {"scalelab-lb": 5120.0}, 250.0, 260.0, said.append)
    assert not any("HAProxy" in line for line in said)


def test_an_arm_charges_the_programs_cpu_to_its_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "wrk", lambda url, **how: Sample(4, 0, 1.0, p50_s=0.5, p99_s=0.7))
    used = iter([1.0, 1.0001])
    monkeypatch.setattr(module, "family_cpu_seconds", lambda pid: next(used))
    with upstream(free_port()) as program:
        taken = _arm(program, SMALL, 1.0)()
    assert taken.cpu_us == pytest.approx(25.0)
    assert (taken.p50_s, taken.p99_s) == (0.5, 0.7)


def test_idle_memory_is_that_of_a_fresh_balancer(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def measure(program: object) -> float:
        seen.append(type(program).__name__)
        return 1.0

    monkeypatch.setattr(module, "bytes_per_idle_connection", measure)
    assert idle_bytes("scalelab-lb") == 1.0
    assert seen == ["Program"]
