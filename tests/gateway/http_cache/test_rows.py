"""Every sentence in docs/http-cache.md names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_row_has_a_test() -> None:
    rows = [line for line in (ROOT / "docs" / "http-cache.md").read_text().splitlines() if re.match(r"\| \d", line)]
    assert len(rows) > 100
    source = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    defined = set(re.findall(r"def (test_\w+)", source))
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        assert not set(named) - defined, row


def test_every_test_that_is_named_for_a_sentence_has_a_row() -> None:
    said = (ROOT / "docs" / "http-cache.md").read_text()
    for path in Path(__file__).parent.glob("test_*.py"):
        for name in re.findall(r"def (test_rfc(?:9111|9110|5861|9211|9213)_\w+)", path.read_text()):
            assert f"`{name}`" in said, name
