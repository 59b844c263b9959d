"""How a failed twistd ends."""

import sys
from collections.abc import Callable

from scalability.lab.exit_status import ExitStatus
from scalability.testing.processes import Process


def ended(*failures: int) -> list[int]:
    registered: list[Callable[[], None]] = []
    left: list[int] = []
    status = ExitStatus(registered.append, left.append)
    for failure in failures:
        status.failed(failure)
    registered[0]()
    return left


def test_without_a_failure_the_process_ends_as_it_would() -> None:
    assert ended() == []


def test_the_first_failure_is_the_status() -> None:
    assert ended(3, 1) == [3]


def test_a_real_process_ends_with_the_status_and_its_output_is_complete() -> None:
    program = (
        "from scalability.lab.exit_status import ExitStatus; import atexit; "
        "status = ExitStatus(); atexit.register(print, 'others clean up first'); status.failed(); print('last words')"
    )
    with Process([sys.executable, "-c", program]) as process:
        assert process.wait() == 1
        assert process.stdout == "last words\nothers clean up first\n"
