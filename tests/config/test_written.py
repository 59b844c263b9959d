"""Files that a server is going to write."""

from pathlib import Path

import pytest

from scalability.config.written import check_appended, check_written
from scalability.errors import ConfigError


def test_what_can_be_written_passes(tmp_path: Path) -> None:
    check_appended("--log", tmp_path / "new.log")
    (tmp_path / "old.log").write_text("x")
    check_appended("--log", tmp_path / "old.log")
    check_written("--state", tmp_path / "state", tmp_path)


@pytest.mark.parametrize(
    ("name", "why"),
    [(".", "is a folder"), ("a\0b", "cannot be written: there is a NUL in its name"), ("no/such/file", "there is no folder")],
)
def test_what_cannot_is_named_with_its_flag(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as found:
        check_appended("--log", tmp_path / name)
    assert "--log" in str(found.value)


def test_a_place_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda place, mode: False)
    with pytest.raises(ConfigError, match="cannot be written"):
        check_appended("--log", tmp_path / "new.log")
