"""The program that is measured has a core of its own."""

import os
import subprocess
import sys

import pytest

from scalability.lab.bench.cores import apart


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core only")
def test_a_program_and_what_loads_it_are_apart_and_we_are_as_before_afterwards() -> None:
    before = os.sched_getaffinity(0)
    ask = [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"]
    with subprocess.Popen(["sleep", "60"]) as program:
        with apart([program.pid]):
            theirs, ours = os.sched_getaffinity(program.pid), os.sched_getaffinity(0)
            said = subprocess.run(ask, capture_output=True, text=True, check=True)
        program.kill()
    assert len(theirs) == 1
    assert theirs | ours == before
    assert not theirs & ours
    assert said.stdout.strip() == str(ours)
    assert os.sched_getaffinity(0) == before


def test_on_one_core_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: pytest.fail("it was changed"))
    with apart([os.getpid()]):
        pass


def test_a_system_without_the_call_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    with apart([os.getpid()]):
        pass
