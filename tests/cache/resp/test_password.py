"""The password stands in a file, and is changed there."""

import os
from pathlib import Path

import pytest

from scalability.cache.resp.password import Password, read_password
from scalability.errors import ConfigError


def test_the_first_line_counts(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"se cret\r\nmore\n")
    assert read_password(file) == b"se cret"
    assert Password(file).right(b"se cret")
    assert not Password(file).right(b"se cret\r\nmore")
    assert not Password(file).right(b"")


@pytest.mark.parametrize(("content", "why"), [(b"", "no password"), (b"\nsecret", "no password"), (b"x" * 5000, "more than 4096")])
def test_what_is_no_password(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=why) as caught:
        read_password(file)
    assert "xxxx" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--resp-password-file: cannot read .*none: No such file"):
        read_password(tmp_path / "none")
    with pytest.raises(ConfigError, match="null byte"):
        read_password(tmp_path / "no\0ne")


def test_a_changed_file_is_read_anew_and_a_missing_one_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"old")
    password = Password(file)
    assert password.right(b"old")
    file.write_bytes(b"newer")
    os.utime(file, (1, 1))
    assert not password.right(b"old")
    assert password.right(b"newer")
    file.unlink()
    assert not password.right(b"newer")
    assert not password.right(b"")
    file.write_bytes(b"again")
    assert password.right(b"again")
