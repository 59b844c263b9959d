#!/usr/bin/env python3
"""Set up this checkout and run every check: ``python3 tools/test.py [--checks | --tests] [--no-coverage] [pytest's arguments]``.

Ruff (lint and format), the layout of the tree, import-linter's contracts, mypy and pytest. With arguments for pytest
(``tests/cache -k expiry``) only those tests run, without a coverage floor. ``--checks`` leaves the tests out, ``--tests`` the
static checks. The exit status is 0 only when everything passed.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from threading import Thread

import _bootstrap

ROOT = _bootstrap.ROOT

CHECKS: dict[str, Sequence[str]] = {
    "ruff check": ["-m", "ruff", "check"],
    "ruff format": ["-m", "ruff", "format", "--check"],
    "layout": ["tools/check_layout.py"],
    "import contracts": [_bootstrap.script("lint-imports"), "--no-cache"],
    "mypy": ["-m", "mypy"],
}


class Step:
    """A command of ours: its name, what it printed unless it wrote to the terminal, its status and duration."""

    def __init__(self, name: str, command: Sequence[str], *, shown: bool = False) -> None:
        self.name = name
        self.command = [sys.executable, *command]
        self.shown = shown
        self.printed = b""
        self.process: subprocess.Popen[bytes] | None = None
        self.status: int | None = None
        self.took_s = 0.0

    def run(self) -> None:
        began = time.monotonic()
        stdout = None if self.shown else subprocess.PIPE
        stderr = None if self.shown else subprocess.STDOUT
        self.process = subprocess.Popen(self.command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
        self.printed = self.process.communicate()[0] or b""
        self.status = self.process.returncode
        self.took_s = time.monotonic() - began

    def end(self) -> None:
        """Stop it, if it runs, and wait for that."""
        if self.process is None or self.process.poll() is not None:
            return
        # pytest ends its fixtures, and the processes they started, on SIGINT; SIGTERM would only stop the reactor under the tests
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()

    @property
    def verdict(self) -> str:
        return "PASS" if self.status == 0 else "FAIL" if self.status is not None else "not run"


def steps_of(arguments: Sequence[str]) -> tuple[list[Step], Step | None]:
    """The static checks and the test run that the command line asks for."""
    ours = {"--checks", "--tests", "--no-coverage"}
    chosen = ours.intersection(arguments)
    rest = [argument for argument in arguments if argument not in ours]
    checks = [] if "--tests" in chosen or rest else [Step(name, command) for name, command in CHECKS.items()]
    if "--checks" in chosen:
        return checks, None
    # a part of the tests cannot reach the floor of the whole
    coverage = [] if rest or "--no-coverage" in chosen else ["--cov", "--cov-report=term"]
    return checks, Step("pytest", ["-m", "pytest", "-rs", "--durations=10", "--durations-min=5", *coverage, *rest], shown=True)


def main(arguments: Sequence[str]) -> int:
    checks, tests = steps_of(arguments)
    steps = [*checks, *([tests] if tests is not None else [])]

    def run_checks() -> None:
        for step in checks:
            step.run()

    # beside the tests: they wait much of their time for processes, and there are two cores at least
    beside = Thread(target=run_checks, daemon=True)
    beside.start()
    try:
        if tests is not None:
            tests.run()
        beside.join()
    finally:
        for step in steps:
            step.end()
    for step in checks:
        if step.status != 0:
            print(f"\n--- {step.name} ---\n{step.printed.decode(errors='replace')}", end="")
    print()
    for step in steps:
        print(f"{step.verdict}  {step.name:<18}{step.took_s:7.1f} s")
    return 0 if all(step.status == 0 for step in steps) else 1


if __name__ == "__main__":
    if {"-h", "--help"}.intersection(sys.argv[1:]):
        print(f"{__doc__}\nExample: python3 tools/test.py tests/net -k pipelining -x; pytest's own arguments: .venv/bin/pytest --help")
        raise SystemExit
    _bootstrap.ensure("test")
    # ignored in what a script starts in the background; Step.end needs it, in pytest too
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    raise SystemExit(main(sys.argv[1:]))
