"""Making API keys."""

import os
from pathlib import Path

import pytest

from scalability.gateway.access.api_keys import read_ring
from scalability.gateway.access.new_key import main


def test_a_key_is_printed_once_and_its_line_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["app"]) == 0
    printed = capsys.readouterr()
    key = printed.out.strip()
    assert len(key) == 43
    assert key not in printed.err
    assert read_ring(printed.err.encode()).holder(key.encode()) == "app"


def test_keys_are_added_to_a_file_that_only_its_owner_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "keys"
    for name in ("one", "two", "one"):
        assert main([name, "--file", str(file)]) == 0
    keys = capsys.readouterr().out.split()
    ring = read_ring(file.read_bytes())
    assert [ring.holder(key.encode()) for key in keys] == ["one", "two", "one"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["keys"]
    assert not any(key in file.read_text() for key in keys)


def test_a_file_keeps_its_mode_and_what_stands_in_it(tmp_path: Path) -> None:
    (file := tmp_path / "keys").write_text("# ours")
    file.chmod(0o640)
    assert main(["app", "--file", str(file)]) == 0
    assert file.stat().st_mode & 0o777 == 0o640
    assert file.read_text().startswith("# ours\napp:")


def test_what_cannot_be_done_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bad := tmp_path / "bad").write_text("nonsense")
    for arguments in (["a b"], ["app", "--file", str(bad)], ["app", "--file", str(tmp_path / "none" / "keys")]):
        assert main(arguments) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("apikey: ")
        assert printed.err.count("\n") == 1
    assert bad.read_text() == "nonsense"
    assert os.listdir(tmp_path) == ["bad"]
