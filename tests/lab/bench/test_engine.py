"""What the benchmark of the engine says."""

import pytest

from scalability.lab.bench import engine as module
from scalability.lab.bench.engine import child, engine
from scalability.lab.bench.rounds import NoFigure


def held(cpu_s: float) -> dict[str, object]:
    turn = {"cpu_s": cpu_s, "wall_s": 2 * cpu_s}
    return {"entries": 1_000, "load": turn, "expire": turn, "clear": turn, "collection_s": 0.001}


def test_it_says_what_was_wanted_and_what_was_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    holds = iter([held(0.001), held(0.009), held(0.004)])
    memory = {
        "entries": 1_000,
        "filled_bytes": 240.0,
        "churned_bytes": 351.0,
        "counted_bytes": 300,
        "resident_bytes": 9e6,
        "max_bytes": 10e6,
        "evicted": 5,
    }
    monkeypatch.setattr(module, "child", lambda what, entries: {"memory": memory, "expiring": {"bytes": 345.0}}.get(what) or next(holds))
    monkeypatch.setattr(module, "costs", lambda rounds, others: {"ours": [100.0] * 4, "theirs": [50.0] * 4})
    monkeypatch.setattr(module, "hit_ratios", lambda lru: {"zipf": {"s3fifo": [0.4, 0.6], "lru": [0.3, 0.5]}})
    said: list[str] = []
    figures = engine(3, 0.0, said.append)
    assert "1,000 entries, longest turn of the reactor while they are loaded: 4.0 [1.0, 9.0] ms of CPU, 8.0 [2.0, 18.0] ms" in said[0]
    assert said[0].endswith("(wanted: at most 5): reached")
    assert "collection beside them takes 1.0 [1.0, 1.0] ms" in said[3]
    assert "240 bytes beyond key and value, 351 after 5 evictions, with ghosts, and 345 while entries come and expire" in said[4]
    assert "(wanted: at most 350): not reached" in said[4]
    assert "resident are 0.90 of max_bytes" in said[5]
    assert said[8].split() == ["theirs", *["50", "(0.50)"] * 4]
    assert said[-1].split() == ["zipf", "40.0,", "LRU", "30.0", "60.0,", "LRU", "50.0"]
    assert figures["benchmark"] == "engine"


def test_a_child_that_fails_gives_no_figure_and_the_reason() -> None:
    with pytest.raises(NoFigure, match="engine memory: ValueError"):
        child("memory", -1)
