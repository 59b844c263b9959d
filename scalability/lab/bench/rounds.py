"""Turns, medians and spread (pure): A B A B, at least five rounds, so that the machine's moods hit both alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isnan
from statistics import median


class NoFigure(RuntimeError):
    """A run that means nothing, and why."""


@dataclass(frozen=True)
class Sample:
    """One arm in one round. ``cpu_us`` is microseconds of CPU per request, of the measured program alone; latencies are the load
    generator's. NaN where not measured."""

    requests: int
    errors: int
    seconds: float
    cpu_us: float = float("nan")
    p50_s: float = float("nan")
    p99_s: float = float("nan")

    @property
    def per_s(self) -> float:
        return self.requests / self.seconds


@dataclass(frozen=True)
class Ratio:
    """The median of the rounds' ratios, with the least and the greatest."""

    median: float
    least: float
    greatest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.least:.2f}, {self.greatest:.2f}]"


def in_turns(arms: Mapping[str, Callable[[], Sample]], rounds: int, report: Callable[[str], None]) -> dict[str, list[Sample]]:
    """Run every arm once in each round, in order. Raises NoFigure when an arm answers with errors."""
    taken: dict[str, list[Sample]] = {name: [] for name in arms}
    for number in range(1, rounds + 1):
        for name, run in arms.items():
            sample = run()
            if sample.errors or not sample.requests:
                raise NoFigure(f"{name}: {sample.errors} failed of {sample.requests} requests; the run says nothing")
            cpu = "" if isnan(sample.cpu_us) else f"  {sample.cpu_us:7.1f} us CPU a request"
            p50, p99 = (f"{seconds * 1e3:.2f} ms" if not isnan(seconds) else "unknown" for seconds in (sample.p50_s, sample.p99_s))
            report(f"round {number}/{rounds}  {name:<12} {sample.per_s:>9,.0f} requests/s{cpu}  p50 {p50}  p99 {p99}")
            taken[name].append(sample)
    return taken


def ratio(ours: list[Sample], theirs: list[Sample], figure: Callable[[Sample], float]) -> Ratio:
    """``figure`` of ours over theirs, round by round."""
    each = [figure(a) / figure(b) for a, b in zip(ours, theirs, strict=True)]
    return Ratio(median(each), min(each), max(each))


def middle(samples: list[Sample], figure: Callable[[Sample], float]) -> float:
    """The median of ``figure``."""
    return median(figure(sample) for sample in samples)
