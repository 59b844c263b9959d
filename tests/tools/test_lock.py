import subprocess
from typing import Any

import pytest

from tools import lock


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 2 if "requirements-test.lock" in command else 0)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    return commands


def test_each_level_is_locked_on_top_of_the_first_and_a_failure_ends_it(ran: list[list[str]]) -> None:
    assert lock.main(["--upgrade"]) == 2
    assert [command[command.index("-o") + 1] for command in ran] == ["requirements.lock", "requirements-test.lock"]
    assert "--upgrade" in ran[0]
    assert "-c" not in ran[0]
    assert ran[1][-2:] == ["-c", "requirements.lock"]


def test_without_uv_one_line_says_so(ran: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert lock.main([]) == 1
    assert capsys.readouterr().err.startswith("lock: uv is not on the PATH")
    assert ran == []
