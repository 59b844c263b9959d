"""What the benchmark of the tail makes of its samples; the servers are not started here."""

import pytest

from scalability.lab.bench.rounds import NoFigure, Sample, in_turns
from scalability.lab.bench.tail import ALGORITHMS, SERVICE_TIMES_S, arm, conclude
from scalability.upstream.selection import ALGORITHMS as ALL


class Client:
    """One whose answers took what is in ``latencies``."""

    def __init__(self, latencies: list[float], failures: int = 0) -> None:
        self.failures = 0
        self._latencies = latencies
        self._fails = failures

    def run(self, seconds: float) -> list[float]:
        self.failures += self._fails
        return self._latencies


def samples(*p99_s: float) -> list[Sample]:
    return [Sample(1600, 0, 4.0, p50_s=0.005, p99_s=seconds) for seconds in p99_s]


def test_one_server_of_four_is_ten_times_slower_and_the_algorithms_are_there() -> None:
    quick, *others, slow = SERVICE_TIMES_S
    assert (others, slow) == ([quick] * 2, 10 * quick)
    assert set(ALGORITHMS) <= set(ALL)


def test_the_tail_is_stated_beside_round_robin_s_and_what_was_wanted() -> None:
    said: list[str] = []
    found = conclude(
        {"round_robin": samples(0.05, 0.06, 0.04), "least_request": samples(0.05, 0.06, 0.04), "peak_ewma": samples(0.01, 0.006, 0.01)},
        said.append,
    )
    assert said[0] == "tail: round_robin   p50  5.00 ms, p99 50.00 ms, p99 1.00 [1.00, 1.00] times round robin's"
    assert said[2] == "tail: peak_ewma     p50  5.00 ms, p99 10.00 ms, p99 0.20 [0.10, 0.25] times round robin's (wanted: at most 0.25)"
    assert found["p99_ratio"] == pytest.approx(0.2)


def test_a_turn_takes_the_percentiles_of_its_own_answers() -> None:
    client = Client([0.001] * 98 + [0.2] * 2)
    sample = arm(client, 2.0)()  # type: ignore[arg-type]  # it has all that is used of one
    assert (sample.requests, sample.errors, sample.seconds, sample.p50_s, sample.p99_s) == (100, 0, 2.0, 0.001, 0.2)


def test_a_turn_with_failed_requests_is_no_figure() -> None:
    turn = arm(Client([], failures=3), 1.0)  # type: ignore[arg-type]  # likewise
    with pytest.raises(NoFigure, match="peak_ewma: 3 failed of 0 requests"):
        in_turns({"peak_ewma": turn}, 1, lambda line: None)
