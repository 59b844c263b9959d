"""What the RESP benchmark makes of redis-benchmark's words, and how it measures memory."""

import shutil

import pytest

from scalability.lab.bench import resp as module
from scalability.lab.bench.programs import free_port, plugin
from scalability.lab.bench.resp import OURS, REDIS, _overhead, conclude, sample_of
from scalability.lab.bench.rounds import NoFigure, Sample

CSV = (
    '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"\n'
    '"SET","50000.00","0.587","0.136","0.559","0.935","1.079","1.903"\n'
)


def sample(cpu_us: float) -> Sample:
    return Sample(1000, 0, 1.0, cpu_us)


def test_what_is_wanted_stands_beside_what_was_measured() -> None:
    said: list[str] = []
    assert conclude("get", 16, {OURS: [sample(1.8)], REDIS: [sample(1.2)]}, said.append) == pytest.approx([1.5, 1.5, 1.5])
    conclude("set", 1, {OURS: [sample(9.9)], REDIS: [sample(9.0)]}, said.append)
    assert said == [
        "resp: GET pipelined by 16: 1.80 us CPU, Redis 1.20 us: 1.50 [1.50, 1.50] times (wanted: at most 2.0)",
        "resp: SET one at a time: 9.90 us CPU, Redis 9.00 us: 1.10 [1.10, 1.10] times (wanted: at most 1.15)",
    ]


def test_a_sample_of_redis_benchmark() -> None:
    taken = sample_of(CSV, 100_000, 1.0)
    assert (taken.requests, taken.seconds, taken.cpu_us) == (100_000, 2.0, 10.0)
    assert taken.p50_s == pytest.approx(0.000559)


@pytest.mark.parametrize("output", ["", "ERROR: refused", CSV + CSV.splitlines()[1]])
def test_other_words_are_no_figure(output: str) -> None:
    with pytest.raises(NoFigure, match="redis-benchmark said"):
        sample_of(output, 1, 1.0)


def test_memory_is_measured_by_writing_and_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENTRIES", 20_000)
    said: list[str] = []
    resp_port = free_port()
    with plugin("scalelab-cache", "--resp", f"127.0.0.1:{resp_port}", port=free_port()) as program:
        program.port = resp_port
        overhead = _overhead(OURS, program, said.append)
    assert 100 < overhead < 1000
    assert "written and read back" in said[0]


def test_entries_that_were_evicted_are_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENTRIES", 5_000)
    resp_port = free_port()
    flags = ("--resp", f"127.0.0.1:{resp_port}", "--max-entries", "1000")
    with plugin("scalelab-cache", *flags, port=free_port()) as program:
        program.port = resp_port
        with pytest.raises(NoFigure, match="were written and"):
            _overhead(OURS, program, lambda line: None)


@pytest.mark.skipif(shutil.which("redis-benchmark") is None, reason="redis-benchmark is not installed")
def test_an_arm_loads_the_program() -> None:
    resp_port = free_port()
    with plugin("scalelab-cache", "--resp", f"127.0.0.1:{resp_port}", port=free_port()) as program:
        program.port = resp_port
        taken = module._arm(program, "set", 16, 0.01)()
    assert taken.requests == 4000
    assert taken.cpu_us > 0
