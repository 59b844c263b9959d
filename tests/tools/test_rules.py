"""The page of HTTP rules and the tests that are named after them."""

from pathlib import Path

import pytest

from tools import rules


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "tests" / "http1").mkdir(parents=True)
    (tmp_path / "docs" / "http_rules.md").write_text(f"# Rules\n1. One.\n2. Two.\n\n{rules.MARK}\n")
    (tmp_path / "tests" / "http1" / "test_head.py").write_text(
        "def test_rule_01_holds() -> None: ...\n\nclass Two:\n    async def test_rule_02_holds(self) -> None: ...\n"
    )
    rules.write(tmp_path)
    return tmp_path


def test_every_rule_of_this_suite_has_its_tests_and_the_page_lists_no_other() -> None:
    assert list(rules.problems(rules.ROOT)) == []


def test_the_rules_are_those_that_this_suite_promises() -> None:
    assert rules.rules_of(rules.ROOT) == [*range(1, 50), 51], "50 is about HTTP/2"


def test_the_page_lists_each_test_with_its_file(root: Path) -> None:
    page = (root / rules.PAGE).read_text()
    assert page.startswith("# Rules\n1. One.\n2. Two.\n\n")
    assert page.endswith(
        "- **1**\n  - `test_rule_01_holds` in tests/http1/test_head.py\n- **2**\n  - `test_rule_02_holds` in tests/http1/test_head.py\n"
    )
    assert list(rules.problems(root)) == []


def test_writing_it_again_changes_nothing(root: Path) -> None:
    before = (root / rules.PAGE).read_text()
    rules.write(root)
    assert (root / rules.PAGE).read_text() == before


def test_a_rule_without_a_test_and_a_test_that_is_gone_are_named(root: Path) -> None:
    (root / "tests" / "http1" / "test_head.py").write_text("def test_rule_01_holds() -> None: ...\n")
    assert list(rules.problems(root)) == ["rule 2 has no test", "docs/http_rules.md lists test_rule_02_holds, which is no test"]


def test_a_test_of_a_rule_that_is_not_stated_is_named(root: Path) -> None:
    (root / "tests" / "test_more.py").write_text("def test_rule_03_holds() -> None: ...\n")
    assert list(rules.problems(root)) == ["docs/http_rules.md states no rule 3, which test_rule_03_holds is about"]


def test_a_rule_whose_tests_are_not_listed_is_named(root: Path) -> None:
    page = root / rules.PAGE
    page.write_text(page.read_text().partition("- **2**")[0])
    assert list(rules.problems(root)) == ["docs/http_rules.md lists no test of rule 2"]
