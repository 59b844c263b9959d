"""Turns, medians and ratios of the benchmarks."""

import pytest

from scalability.lab.bench.rounds import Sample, in_turns, middle, ratio


def sample(requests: int = 100, errors: int = 0, cpu_us: float = 10.0) -> Sample:
    return Sample(requests, errors, 2.0, cpu_us)


def test_the_arms_run_in_turns() -> None:
    order: list[str] = []

    def arm(name: str) -> Sample:
        order.append(name)
        return sample()

    taken = in_turns({"a": lambda: arm("a"), "b": lambda: arm("b")}, 3, lambda line: None)
    assert order == ["a", "b"] * 3
    assert [len(samples) for samples in taken.values()] == [3, 3]


def test_a_run_with_failed_requests_gives_no_figure() -> None:
    with pytest.raises(RuntimeError, match="7 failed of 100"):
        in_turns({"a": lambda: sample(errors=7)}, 1, lambda line: None)


def test_a_run_without_requests_gives_no_figure() -> None:
    with pytest.raises(RuntimeError, match="says nothing"):
        in_turns({"a": lambda: sample(requests=0)}, 1, lambda line: None)


def test_the_ratio_is_taken_round_by_round() -> None:
    ours = [sample(cpu_us=10), sample(cpu_us=20), sample(cpu_us=90)]
    theirs = [sample(cpu_us=10), sample(cpu_us=10), sample(cpu_us=30)]
    found = ratio(ours, theirs, lambda s: s.cpu_us)
    assert (found.median, found.least, found.greatest) == (2.0, 1.0, 3.0)
    assert str(found) == "2.00 [1.00, 3.00]"


def test_the_middle_is_the_median() -> None:
    assert middle([sample(requests=n) for n in (2, 100, 4)], lambda s: s.per_s) == 2.0


def test_what_was_not_measured_is_not_reported_as_a_number() -> None:
    said: list[str] = []
    in_turns({"a": lambda: Sample(100, 0, 2.0)}, 1, said.append)
    assert said == ["round 1/1  a                   50 requests/s  p50 unknown  p99 unknown"]
