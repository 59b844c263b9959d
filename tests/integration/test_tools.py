"""What a newcomer finds who asks a tool for help."""

import sys
from collections.abc import Callable

import pytest

from scalability.testing.processes import CHECKOUT, Process

# bench.py and flask_lab.py would first install what only they need; the former's command line is tried in tests/lab/bench
NOT_TRIED = {"_bootstrap", "bench", "flask_lab"}
TOOLS = sorted({tool.stem for tool in (CHECKOUT / "tools").glob("*.py")} - NOT_TRIED)


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_says_what_it_is_for(tool: str, run: Callable[..., Process]) -> None:
    process = run(sys.executable, f"tools/{tool}.py", "--help", cwd=CHECKOUT, parent_pipe=False)
    assert process.wait(timeout_s=30) == 0, process.output
    assert f"{tool}.py" in process.output or "scalelab" in process.output
    assert "--" in process.output
    assert "Traceback" not in process.output


@pytest.mark.parametrize("tool", ["check_layout", "compose_test", "loadtest", "lock"])
def test_a_flag_that_a_tool_does_not_have_is_named(tool: str, run: Callable[..., Process]) -> None:
    process = run(sys.executable, f"tools/{tool}.py", "--bogus", cwd=CHECKOUT, parent_pipe=False)
    assert process.wait(timeout_s=30) not in (0, None)
    assert "unrecognized arguments: --bogus" in process.output
    assert "Traceback" not in process.output
