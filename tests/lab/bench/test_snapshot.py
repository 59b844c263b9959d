"""The figures of snapshots."""

import sys
from typing import Any

import pytest

from scalability.lab.bench.rounds import NoFigure
from scalability.lab.bench.snapshot import lines, snapshot


def sample(cpu_hold_ms: float) -> dict[str, Any]:
    held = {"took_s": 2.0, "hold_ms": 9.0, "cpu_hold_ms": cpu_hold_ms, "resident_mb": 3.0}
    return {"entries": 1_000_000, "bytes": 132_000_000, "write": held, "load_s": 2.5, "purge": held, "purged": 100_000}


def test_a_few_entries_have_figures() -> None:
    said: list[str] = []
    figures: Any = snapshot(1, 0.0, said.append, entries=2_000)
    (one,) = figures["samples"]
    assert (one["entries"], one["purged"]) == (2_000, 200)
    assert one["bytes"] > 2_000 * 100
    assert one["write"]["took_s"] > 0
    assert len(said) == 3


def test_the_longest_hold_of_all_rounds_decides() -> None:
    said = lines([sample(1.0), sample(4.9)])
    assert said[0] == "snapshot: 1,000,000 entries, 132 MB: written in 2.0 s with 3 MB more of memory, loaded in 2.5 s"
    assert "writing holds the reactor's thread for 4.9 ms of CPU at most (wanted: below 5): reached; 9.0 ms by the clock" in said[1]
    assert "purging 100,000 of them" in said[2]
    assert "missed" in lines([sample(5.0)])[1]


def test_a_process_that_fails_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(NoFigure):
        snapshot(1, 0.0, lambda line: None, entries=10)
