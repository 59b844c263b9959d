"""What the cache benchmark makes of its samples."""

import pytest

from scalability.lab.bench import cache_hits as module
from scalability.lab.bench.cache_hits import DATA, ROUTE, _arm, conclude
from scalability.lab.bench.programs import free_port, upstream
from scalability.lab.bench.rounds import Sample


def sample(cpu_us: float) -> Sample:
    return Sample(1000, 0, 1.0, cpu_us, p50_s=0.001, p99_s=0.002)


def test_what_is_wanted_stands_beside_what_was_measured() -> None:
    said: list[str] = []
    figures = conclude({DATA: [sample(9.0)], ROUTE: [sample(6.0)], "nginx": [sample(12.0)], "varnish": [sample(18.0)]}, said.append)
    assert said == [
        "cache: gateway /data 9.0 us CPU a hit, nginx 12.0 us: 0.75 [0.75, 0.75] times (wanted: at most 0.8)",
        "cache: gateway /data 9.0 us CPU a hit, varnish 18.0 us: 0.50 [0.50, 0.50] times",
        "cache: gateway route 6.0 us CPU a hit, nginx 12.0 us: 0.50 [0.50, 0.50] times (wanted: at most 0.8)",
        "cache: gateway route 6.0 us CPU a hit, varnish 18.0 us: 0.33 [0.33, 0.33] times",
    ]
    assert figures["CPU of gateway /data against nginx"] == [0.75, 0.75, 0.75]


def test_an_arm_charges_the_programs_cpu_to_its_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "wrk", lambda url, **how: Sample(4, 0, 1.0, p50_s=0.5, p99_s=0.7))
    used = iter([1.0, 1.0001])
    monkeypatch.setattr(module, "family_cpu_seconds", lambda pid: next(used))
    with upstream(free_port()) as program:
        assert _arm(program, "/data", 1.0)().cpu_us == pytest.approx(25.0)
