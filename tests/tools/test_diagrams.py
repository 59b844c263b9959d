"""The state diagrams are those of the code."""

from pathlib import Path

import pytest

from scalability.upstream import breaker, health
from tools import diagrams


def test_the_page_of_this_checkout_is_up_to_date() -> None:
    assert not diagrams.outdated(diagrams.ROOT), "python3 tools/diagrams.py --write"


def test_a_page_that_is_missing_or_says_something_else_is_outdated(tmp_path: Path) -> None:
    assert diagrams.outdated(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / diagrams.PAGE).write_text(diagrams.page() + "\n")
    assert diagrams.outdated(tmp_path)


def test_it_is_written_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(diagrams, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    assert diagrams.main([]) == 1
    assert "outdated" in capsys.readouterr().out
    assert diagrams.main(["--write"]) == 0
    assert diagrams.main([]) == 0
    assert not diagrams.outdated(tmp_path)


def test_a_run_of_equal_checks_has_an_edge_for_its_length() -> None:
    drawn = list(diagrams.of_health())
    assert (health.State.DOWN, health.State.RISING, "passed check") in drawn
    assert (health.State.DOWN, health.State.UP, "passed check, the rise-th in a row") in drawn
    assert {before for before, _, _ in drawn} == {None, *health.State}


def test_every_transition_of_the_breaker_is_drawn() -> None:
    drawn = [(edge.before, edge.after) for edge in diagrams.of_breaker()]
    assert drawn == [
        (None, breaker.State.CLOSED),
        *((before, after) for (before, _), after in breaker.TRANSITIONS.items()),
    ]


def test_a_state_that_takes_traffic_says_so() -> None:
    edges = [diagrams.Edge(None, breaker.State.CLOSED, ""), diagrams.Edge(breaker.State.CLOSED, breaker.State.HALF_OPEN, "why")]
    assert diagrams.mermaid(edges, [breaker.State.CLOSED]).splitlines() == [
        "stateDiagram-v2",
        '    state "closed (takes traffic)" as CLOSED',
        '    state "half-open" as HALF_OPEN',
        "    [*] --> CLOSED",
        "    CLOSED --> HALF_OPEN : why",
    ]
