from pathlib import Path

import pytest

from scalability.worker.tap import Options


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def ended(*flags: str) -> str | int | None:
    with pytest.raises(SystemExit) as exit_:
        Options().parseOptions(list(flags))
    return exit_.value.code


def test_check_config_prints_the_effective_configuration(modules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (modules / "tap_good_tasks.py").write_text("def report(): pass\n")
    assert ended("--check-config", "--tasks", "tap_good_tasks") == 0
    assert 'tasks = ["tap_good_tasks"]' in capsys.readouterr().out


def test_check_config_finds_a_module_that_cannot_be_imported(modules: Path) -> None:
    (modules / "tap_bad_tasks.py").write_text("import a_module_that_is_not_there\n")
    message = str(ended("--check-config", "--tasks", "tap_bad_tasks"))
    assert message.startswith("scalelab-worker: --tasks: cannot import tap_bad_tasks: ModuleNotFoundError")
    assert "\n" not in message


def test_help_explains_every_flag() -> None:
    text = str(Options())
    for flag in (
        "--listen",
        "--admin",
        "--config",
        "--check-config",
        "--store",
        "--concurrency",
        "--tasks",
        "--max-queue",
        "--simulate-time",
    ):
        assert flag in text
