"""The limit of open files is raised as far as it may be, and never lowered."""

import resource

import pytest

from scalability.lifecycle.open_files import CEILING, raise_open_files

INFINITE = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "after"),
    [
        (1024, 20_000, 20_000),
        (1024, 1_000_000, CEILING),
        (1024, INFINITE, CEILING),
        (1024, 1024, 1024),
        (100_000, 1_000_000, 100_000),
        (INFINITE, INFINITE, INFINITE),
    ],
)
def test_the_soft_limit_goes_up_to_the_hard_one_or_the_ceiling(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, after: int) -> None:
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda which, limit: limits.append(limit))
    assert raise_open_files() == after
    assert limits[-1] == (after, hard)


def test_a_system_that_refuses_keeps_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(which: int, limit: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, INFINITE))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_open_files() == 256
