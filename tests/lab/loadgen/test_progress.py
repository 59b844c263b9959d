"""Progress in a terminal and in a log."""

import io

from scalability.lab.loadgen.progress import PLAIN_EVERY, Progress
from scalability.lab.loadgen.recorder import Second
from scalability.lab.loadgen.run import Load, Measured
from scalability.lab.loadgen.target import target

SECOND = Second(1.0, 10, 0, 0.001, 0.002, 0.003)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def measured() -> Measured:
    return Measured(target("http://h/"), Load())


def test_a_terminal_has_one_line_that_is_rewritten_and_wiped() -> None:
    out = Terminal()
    progress = Progress(out, measured())
    progress.turned(SECOND)
    progress.turned(Second(2.0, 0, 0, 0.0, 0.0, 0.0))
    assert "\n" not in out.getvalue()
    first, second = out.getvalue().split("\r")[1:]
    assert len(second) == len(first), "a shorter line covers the longer one before it"
    progress.end()
    assert out.getvalue().endswith("\r" + " " * (len(second.rstrip()) + 2) + "\r"), "and the ^C of one who interrupts it"
    progress.end()


def test_a_log_has_a_plain_line_every_few_seconds() -> None:
    out = io.StringIO()
    progress = Progress(out, measured())
    for _ in range(2 * PLAIN_EVERY + 1):
        progress.turned(SECOND)
    progress.end()
    assert len(out.getvalue().splitlines()) == 2
    assert "\r" not in out.getvalue()
