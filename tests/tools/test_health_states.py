"""The diagram of health states and the table that it is made from."""

from pathlib import Path

import pytest

from tools import health_states


def test_the_page_shows_the_transitions_that_hold() -> None:
    assert health_states.main() == 0


def test_states_are_joined_by_what_leads_from_one_to_the_other() -> None:
    lines = health_states.diagram().splitlines()
    assert lines[:2] == ["```mermaid", "stateDiagram-v2"]
    assert lines[-1] == "```"
    assert "    unchecked --> waiting: failed" in lines
    assert "    up --> falling: failed" in lines
    assert "    falling --> down: the fall-th failed in a row" in lines
    assert "    rising --> up: the rise-th passed in a row" in lines
    assert not any("up --> up" in line for line in lines)


def test_an_outdated_page_is_noticed_and_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / health_states.PAGE
    page.parent.mkdir()
    page.write_text(f"before\n{health_states.BEGIN}old\n{health_states.END}\nafter\n")
    monkeypatch.setattr(health_states, "ROOT", tmp_path)
    assert health_states.main() == 1
    assert health_states.main(["--write"]) == 0
    assert health_states.main() == 0
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("```\n<!-- end -->\nafter\n")


def test_a_page_without_a_place_for_it_is_an_error() -> None:
    with pytest.raises(ValueError, match="has no lines"):
        health_states.with_diagram("nothing")
