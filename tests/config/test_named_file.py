"""Files that an option names."""

from pathlib import Path

import pytest

from scalability.config.named_file import read_named
from scalability.errors import ConfigError


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (file := tmp_path / "file").write_bytes(b"12345\n")
    assert read_named("--file", file, 6) == b"12345\n"
    with pytest.raises(ConfigError, match=r"^--file: .*file has more than 5 bytes$") as error:
        read_named("--file", file, 5)
    assert "123" not in str(error.value)


def test_a_file_without_an_end_is_too_large() -> None:
    with pytest.raises(ConfigError, match=r"^--file: /dev/zero has more than 1000 bytes$"):
        read_named("--file", Path("/dev/zero"), 1000)


@pytest.mark.parametrize(("name", "why"), [("none", "No such file or directory"), (".", "Is a directory"), ("a\0b", "embedded null byte")])
def test_one_that_cannot_be_read_is_named_with_its_flag(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"^--file: cannot read .*: {why}$"):
        read_named("--file", tmp_path / name, 10)
