"""Programs under measurement are ready when they listen, and end."""

import os
import sys
import urllib.request

import pytest

from scalability.lab.bench.programs import Program, free_port, upstream


def test_a_program_is_ready_when_it_listens_and_ends_with_its_block() -> None:
    with upstream(free_port()) as program:
        with urllib.request.urlopen(program.url, timeout=5) as answer:
            assert len(answer.read()) == 60
        pid = program.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_that_never_listens_is_an_error_with_its_output() -> None:
    with pytest.raises(RuntimeError, match="no luck"), Program([sys.executable, "-c", "print('no luck')"], free_port(), name="mute"):
        pass
