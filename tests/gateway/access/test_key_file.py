"""The file of API keys, while it changes."""

import os
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs

from scalability.errors import ConfigError
from scalability.gateway.access import key_file
from scalability.gateway.access.api_keys import line_for
from scalability.gateway.access.key_file import KeyFile, read_key_file

ONE, TWO = "1" * 40, "2" * 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (file := tmp_path / "keys").write_text(line_for("one", ONE) + "\n")
    return file


def replace(path: Path, text: str) -> None:
    """As an operator does it well: the file is there as a whole, or not at all."""
    (new := path.with_suffix(".new")).write_text(text)
    os.replace(new, path)


def test_a_file_that_cannot_be_used_is_an_error_that_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*: No such file"):
        read_key_file(tmp_path / "none")
    (file := tmp_path / "keys").write_text("nonsense")
    with pytest.raises(ConfigError, match=r"^\[gateway\] api_keys: .*keys: line 1 is not"):
        read_key_file(file, "[gateway] api_keys")
    monkeypatch.setattr(key_file, "MAX_BYTES", 3)
    with pytest.raises(ConfigError, match="more than 3 bytes"):
        read_key_file(file)


@pytest_twisted.ensureDeferred
async def test_keys_are_given_and_taken_away_without_a_restart(path: Path) -> None:
    from twisted.internet import reactor

    async def until(wanted: Any) -> None:
        for _ in range(500):
            if wanted():
                return
            await deferLater(reactor, 0.01)
        raise AssertionError("it does not become true")

    keys = KeyFile(reactor, path, interval_s=0.01)
    keys.startService()
    try:
        before = keys.ring
        assert before.holder(ONE.encode()) == "one"
        replace(path, line_for("two", TWO))
        await until(lambda: keys.ring.holder(TWO.encode()) == "two")
        assert keys.ring.holder(ONE.encode()) is None
        with capturedLogs() as events:
            replace(path, "nonsense")
            await until(lambda: events)
            await deferLater(reactor, 0.1)
        assert [event["log_format"] for event in events] == ["the API keys stay as they were: {why}"]
        assert keys.ring.holder(TWO.encode()) == "two"
        path.unlink()
        await deferLater(reactor, 0.05)
        assert keys.ring.holder(TWO.encode()) == "two"
        replace(path, line_for("one", ONE))
        await until(lambda: keys.ring.holder(ONE.encode()) == "one")
    finally:
        await keys.stopService()
