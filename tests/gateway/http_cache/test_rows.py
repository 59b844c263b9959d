"""Every sentence in docs/http-cache.md names tests that exist, and every test that is named for a sentence stands there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
HERE = [*Path(__file__).parent.glob("test_*.py"), *(ROOT / "tests" / "integration").glob("test_http_cache*.py")]
AROUND = [*(ROOT / "tests" / "gateway" / "transform").glob("test_*.py"), *(ROOT / "tests" / "http1").glob("test_*.py")]


def defined(paths: list[Path], pattern: str) -> set[str]:
    return {name for path in paths for name in re.findall(rf"def ({pattern}\w+)", path.read_text())}


def test_every_row_has_a_test() -> None:
    rows = [line for line in (ROOT / "docs" / "http-cache.md").read_text().splitlines() if re.match(r"\| \d", line)]
    assert len(rows) > 150
    known = defined([*HERE, *AROUND], "test_")
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        assert not set(named) - known, row


def test_every_test_that_is_named_for_a_sentence_has_a_row() -> None:
    said = (ROOT / "docs" / "http-cache.md").read_text()
    for name in defined(HERE, r"test_rfc\d{4}_"):
        assert f"`{name}`" in said, name
