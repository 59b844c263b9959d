"""Real processes for integration tests: started on free ports, read while they run, always ended.

A ``Process`` is synchronous: threads of its own collect its output, so that a test that blocks, and one
whose reactor runs, both read it. It ends its own process group by id and nothing else. Each child also gets the
parent pipe of ``scalability.lifecycle.parent``, so that it ends when the test run itself is killed.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import IO, Self

from scalability.config import Address
from scalability.lifecycle.parent import VARIABLE as PARENT_PIPE

CHECKOUT = Path(__file__).resolve().parents[2]
"""The folder that holds ``scalability`` and ``twisted/plugins``."""


class EndedError(AssertionError):
    """The process ended, or ran into its deadline, before it did what the test waits for; the text has its output."""


def twistd() -> str:
    """The ``twistd`` of the interpreter that runs the tests."""
    return os.path.join(sysconfig.get_path("scripts"), "twistd")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child: ours, without any ``SCALELAB_`` value, able to find the plugins, plus ``extra``.

    A script of tools/ that a test starts uses the virtual environment of the test, and sets no other one up.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SCALELAB_")}
    paths = [str(CHECKOUT), *filter(None, [environ.get("PYTHONPATH")])]
    environ.update(PYTHONPATH=os.pathsep.join(paths), PYTHONUNBUFFERED="1", SCALELAB_VENV=sys.prefix)
    environ["SCALELAB_CACHE_RESP"] = "127.0.0.1:0"  # several caches at once, unless a test asks for the usual port
    environ.update(extra or {})
    return environ


class Process:
    """A child process and everything that it printed. Use it as a context manager, or ``close`` it.

    ``argv`` is run in ``cwd`` (the checkout unless given) with ``env`` added to the environment.
    ``parent_pipe=False`` gives it an empty standard input instead of the pipe that tells it when we are gone.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        parent_pipe: bool = True,
    ) -> None:
        self.argv = list(argv)
        self.started = time.monotonic()
        self._changed = Condition()
        self._stdout: list[str] = []
        self._stderr: list[str] = []
        self._both: list[str] = []
        self._popen = subprocess.Popen(
            self.argv,
            cwd=cwd or CHECKOUT,
            env=environment({**({PARENT_PIPE: "1"} if parent_pipe else {}), **(env or {})}),
            stdin=subprocess.PIPE if parent_pipe else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a group of its own: what it leaves behind is found and ended with it
        )
        self._readers = [
            Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self._popen.stdout, self._stdout), (self._popen.stderr, self._stderr))
        ]
        for reader in self._readers:
            reader.start()

    @classmethod
    def start(
        cls,
        plugin: str,
        *args: str,
        env: Mapping[str, str] | None = None,
        config: str | None = None,
        cwd: str | Path | None = None,
        listen: str | None = "127.0.0.1:0",
        parent_pipe: bool = True,
    ) -> Self:
        """Run ``twistd -n PLUGIN ARGS``.

        ``listen`` becomes ``--listen`` (a free port; None: no such flag, as for the whole lab). ``config`` is the path of a TOML file.
        """
        flags = [*(["--listen", listen] if listen else []), *(["--config", config] if config else []), *args]
        return cls([sys.executable, twistd(), "-n", plugin, *flags], env=env, cwd=cwd, parent_pipe=parent_pipe)

    def _read(self, stream: IO[bytes], lines: list[str]) -> None:
        with stream:
            for line in stream:
                text = line.decode(errors="replace")
                with self._changed:
                    lines.append(text)
                    self._both.append(text)
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def stdout(self) -> str:
        """What it printed so far; twistd's log stands here."""
        with self._changed:
            return "".join(self._stdout)

    @property
    def stderr(self) -> str:
        with self._changed:
            return "".join(self._stderr)

    @property
    def output(self) -> str:
        """Both streams, in the order in which the lines were read."""
        with self._changed:
            return "".join(self._both)

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._popen.poll()

    @property
    def ended(self) -> bool:
        return self.status is not None

    def wait_for(self, pattern: str, *, timeout_s: float = 20.0, count: int = 1) -> re.Match[str]:
        """Wait until ``pattern`` was printed ``count`` times; the last of these matches. Raises ``EndedError`` if that never happens.

        The pattern is searched in the whole output, on either stream.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                silent = self._silent  # asked before the search: nothing printed after it can be missed
                matches = list(re.finditer(pattern, "".join(self._both), re.MULTILINE))
                if len(matches) >= count:
                    return matches[count - 1]
                if silent:
                    raise EndedError(self._say(f"ended without printing {pattern!r}"))
                left = deadline - time.monotonic()
                if left <= 0:
                    raise EndedError(self._say(f"did not print {pattern!r} within {timeout_s} s"))
                self._changed.wait(min(left, 0.25))

    def wait_listening(self, *, timeout_s: float = 20.0) -> int:
        """The port of its main listener, once that is open."""
        return self._listening(timeout_s, admin=False)

    def wait_admin(self, *, timeout_s: float = 20.0) -> int:
        """The port of its admin listener (``--admin 127.0.0.1:0``), once that is open."""
        return self._listening(timeout_s, admin=True)

    def wait_resp(self, *, timeout_s: float = 20.0) -> int:
        """The port on which a cache speaks RESP, once that is open."""
        match = self.wait_for(r" RESP listens on (\S+:\d+)", timeout_s=timeout_s)
        return Address.parse(match[1]).port

    def _listening(self, timeout_s: float, *, admin: bool) -> int:
        who = " admin" if admin else "(?<! admin)(?<! RESP)"
        match = self.wait_for(rf"{who} listens on (\S+:\d+)", timeout_s=timeout_s)  # logged by scalability.net.listen
        return Address.parse(match[1]).port

    def wait(self, *, timeout_s: float = 45.0) -> int:
        """Wait for its end; the exit status. Raises ``EndedError`` when it runs on."""
        try:
            status = self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise EndedError(self._say(f"still runs after {timeout_s} s")) from error
        for reader in self._readers:
            reader.join(2.0)  # a grandchild may hold the streams open
        return status

    def kill(self, sig: int = signal.SIGTERM) -> None:
        """Send it (not its children) a signal; harmless when it has ended."""
        self._popen.send_signal(sig)

    def stop(self, *, timeout_s: float = 45.0) -> int:
        """SIGTERM, and wait for the end; the exit status."""
        self.kill(signal.SIGTERM)
        return self.wait(timeout_s=timeout_s)

    def children(self) -> list[int]:
        """The ids of its direct children, from /proc."""
        found = []
        for task in Path(f"/proc/{self.pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(pid) for pid in task.read_text().split()]
        return found

    def close(self, *, grace_s: float = 10.0) -> None:
        """End it whatever it does: SIGTERM, after ``grace_s`` SIGKILL, and SIGKILL for what is left of its process group."""
        if not self.ended:
            self.kill(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(grace_s)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        if self._popen.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._popen.stdin.close()
        for reader in self._readers:
            reader.join(2.0)

    @property
    def _silent(self) -> bool:
        return not any(reader.is_alive() for reader in self._readers)

    def _say(self, what: str) -> str:
        return f"{' '.join(self.argv)} {what} (status {self.status}); it printed:\n{''.join(self._both)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


def alive(pid: int) -> bool:
    """True while a process with this id runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_gone(pids: Sequence[int], *, timeout_s: float = 10.0) -> list[int]:
    """Wait until none of ``pids`` is alive; those that are after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    left = [pid for pid in pids if alive(pid)]
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [pid for pid in left if alive(pid)]
    return left


@contextlib.contextmanager
def processes() -> Iterator[list[Process]]:
    """A list whose processes are closed at the end, last started first."""
    started: list[Process] = []
    try:
        yield started
    finally:
        for process in reversed(started):
            process.close()
