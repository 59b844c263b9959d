"""The cost of a choice is measured at work, for every algorithm."""

import pytest

from scalability.lab.bench import choice as module
from scalability.lab.bench.choice import BATCH, IN_FLIGHT, Running, choice, choice_ns, verdict
from scalability.upstream.selection import ALGORITHMS


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_choice_takes_time_and_requests_stay_in_flight(algorithm: str) -> None:
    running = Running(algorithm, 3, weighted=True)
    took = [running.seconds() for _ in range(10)]
    assert all(0 < seconds < 1 for seconds in took)
    assert len(running._flying) == IN_FLIGHT
    assert sum({server.name: server.active for server in running._flying}.values()) == IN_FLIGHT


def test_a_choice_is_a_part_of_a_batch() -> None:
    assert 0 < choice_ns("round_robin", 2) < 1e6
    assert BATCH > 1


def test_every_algorithm_has_a_row_with_its_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SERVERS", (2, 4, 6))
    said: list[str] = []
    figures = choice(1, 0.0, said.append)
    assert len(said) == 2 + 2 * len(ALGORITHMS)
    assert "6 servers" in said[0]
    for name, line in zip(ALGORITHMS, said[1:-1:2], strict=True):
        assert line.startswith(name)
        assert line.count("(") == 2
    assert figures["servers"] == (2, 4, 6)
    assert said[-1].startswith("choice: 3 times the servers take at most ")


@pytest.mark.parametrize(("most", "said"), [(499.0, "4.99 times as long (b; wanted: below 5): reached"), (500.0, "5.00 times as long")])
def test_the_worst_ratio_decides(most: float, said: str) -> None:
    line = verdict({"a": [100.0, 100.0, 120.0], "b": [100.0, 900.0, most]})
    assert said in line
    assert line.endswith("not reached" if most >= 500 else "reached")
