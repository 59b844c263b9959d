import sys
from pathlib import Path

import pytest

import tools.test as tool
from scalability.testing.processes import CHECKOUT, Process, wait_gone


def names(steps: list[tool.Step]) -> list[str]:
    return [step.name for step in steps]


def test_without_arguments_every_check_and_every_test_runs_with_the_coverage_floor() -> None:
    checks, tests = tool.steps_of([])
    assert names(checks) == ["ruff check", "ruff format", "layout", "import contracts", "mypy"]
    assert tests is not None
    assert "--cov" in tests.command
    assert "-rs" in tests.command, "a skipped test is named, with the reason"


def test_pytests_own_arguments_run_a_part_of_the_tests_and_nothing_else() -> None:
    checks, tests = tool.steps_of(["tests/cache", "-k", "expiry"])
    assert checks == []
    assert tests is not None
    assert tests.command[-3:] == ["tests/cache", "-k", "expiry"]
    assert "--cov" not in tests.command


def test_each_half_can_be_left_out() -> None:
    checks, tests = tool.steps_of(["--checks"])
    assert len(checks) == 5
    assert tests is None
    checks, tests = tool.steps_of(["--tests", "--no-coverage"])
    assert checks == []
    assert tests is not None
    assert not [argument for argument in tests.command if "cov" in argument]


def test_a_failing_step_prints_what_it_said_and_fails_the_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(tool, "CHECKS", {"good": ["-c", "print('quiet')"], "bad": ["-c", "print('loud'); raise SystemExit(3)"]})
    assert tool.main(["--checks"]) == 1
    printed = capsys.readouterr().out
    assert "loud" in printed
    assert "quiet" not in printed
    assert "PASS  good" in printed
    assert "FAIL  bad" in printed


def test_everything_passing_is_status_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "CHECKS", {"good": ["-c", ""]})
    assert tool.main(["--checks"]) == 0


def test_a_run_that_finds_no_test_fails(tmp_path: Path) -> None:
    with Process([sys.executable, "tools/test.py", str(tmp_path)], cwd=CHECKOUT, parent_pipe=False) as process:
        assert process.wait(timeout_s=60) == 1
        assert "FAIL  pytest" in process.output


@pytest.mark.parametrize("how", ["exec", "trap '' INT; exec"], ids=["plainly", "in the background of a script"])
def test_a_run_that_is_told_to_stop_ends_its_tests_and_what_they_started(how: str, tmp_path: Path) -> None:
    (tmp_path / "test_slow.py").write_text(
        "import subprocess, sys, time\n"
        "def test_slow(request):\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "    request.addfinalizer(child.wait)\n"
        "    request.addfinalizer(child.kill)\n"
        "    print('child', child.pid, file=sys.__stderr__, flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = ["sh", "-c", f'{how} "$@"', "sh", sys.executable, "tools/test.py", "-s", str(tmp_path)]
    with Process(command, cwd=CHECKOUT, parent_pipe=False) as process:
        child = int(process.wait_for(r"child (\d+)", timeout_s=60)[1])
        tests = process.children()
        process.kill()
        assert process.wait(timeout_s=45) == 128 + 15, process.output
        assert wait_gone([child, *tests]) == []
