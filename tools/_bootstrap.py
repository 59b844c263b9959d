"""Make the virtual environment ``.venv`` of this checkout, once, and run in it: what every script in tools/ starts with.

Needs nothing but Python's standard library. A stamp in the environment says what it holds: the lock files, the Python
version and its own path (scripts in an environment name that path, so a moved one is made anew). While the stamp
matches, this costs a hash of the lock files and one ``exec``. A set-up that was interrupted leaves a mark and is
started over; two at the same time take turns.

The checkout itself is not installed: a ``.pth`` file puts it on the path, where ``twistd`` finds the plugins.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the one line that an older Python's user sees
    sys.exit("scalelab needs Python 3.11 or newer; this is Python {}.{} ({})".format(*sys.version_info[:2], sys.executable))

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

LOCKS: Mapping[str, str] = {"run": "requirements.lock", "test": "requirements-test.lock", "bench": "requirements-bench.lock"}
"""What each level of the environment installs. The others hold all of the first, in the same versions: tools/lock.py makes them so."""

STAMP = "scalelab.json"
INCOMPLETE = "scalelab.incomplete"


class Environment:
    """A virtual environment at ``path`` for the checkout ``root``, made by the interpreter ``python``.

    ``python`` is the one that runs this, or the one that made the environment, where that is the same.
    """

    def __init__(self, root: Path = ROOT, path: Path | None = None) -> None:
        self.root = root
        chosen = os.environ.get("SCALELAB_VENV")
        self.path = path or (Path(chosen).absolute() if chosen else root / ".venv")

    @property
    def python(self) -> Path:
        return self.path / "bin" / "python"

    @property
    def active(self) -> bool:
        """True when this very process runs in it."""
        return os.path.realpath(sys.prefix) == os.path.realpath(self.path)

    def ready(self, level: str) -> bool:
        """True when it holds what the lock files of ``level`` say, for this Python, in this place."""
        stamp = self._stamp()
        return stamp.get(level) == self._digest(level) and self._fits(stamp) and self.python.exists() and not self._incomplete.exists()

    def make(self, level: str) -> None:
        """Create or complete it. Ends the process with one line when that cannot be done."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _taking_turns(self.path.with_name(self.path.name + ".lock")):
                if not self.ready(level):
                    self._make(level)
        except KeyboardInterrupt:
            _say("set-up interrupted; the next start begins it anew")
            sys.exit(130)
        except OSError as error:
            _fail(f"cannot set up {self.path}: {error.strerror or error}")

    @property
    def _incomplete(self) -> Path:
        return self.path / INCOMPLETE

    def _stamp(self) -> dict[str, str]:
        try:
            found = json.loads((self.path / STAMP).read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _fits(self, stamp: Mapping[str, str]) -> bool:
        return stamp.get("python") == _version() and stamp.get("path") == str(self.path) and stamp.get("root") == str(self.root)

    def _digest(self, level: str) -> str:
        return hashlib.sha256(_version().encode() + (self.root / LOCKS[level]).read_bytes()).hexdigest()

    def _make(self, level: str) -> None:
        _say(f"setting up {self.path} ({level}) with Python {_version()}; this is done once")
        stamp = self._stamp()
        if self.active:
            pass  # the interpreter that runs cannot be replaced: complete what is there
        elif self._incomplete.exists() or (stamp and not self._fits(stamp)) or not self._usable():
            self._remove()
        fresh = not self.python.exists()
        if fresh:
            stamp = {}
        self.path.mkdir(parents=True, exist_ok=True)
        self._incomplete.touch()
        self._install(level, fresh)
        if not self._own_scripts():
            # made elsewhere and moved here, without a stamp that tells: its scripts would run another interpreter
            if self.active:
                _fail(f"{self.path} was made in another place; remove it and start again with another python3")
            self._remove()
            self.path.mkdir()
            self._incomplete.touch()
            stamp = {}
            self._install(level, True)
        self._find_checkout()
        stamp = {**stamp, "python": _version(), "path": str(self.path), "root": str(self.root), level: self._digest(level)}
        if level != "run":
            stamp["run"] = self._digest("run")  # each lock holds the first
        unfinished = self.path / f"{STAMP}.new"
        unfinished.write_text(json.dumps(stamp, indent=1) + "\n")
        unfinished.replace(self.path / STAMP)
        self._incomplete.unlink()

    def _usable(self) -> bool:
        """True when it has an interpreter of our version that runs, or does not exist at all."""
        if not self.path.exists():
            return True
        if not self.python.exists():
            return False
        command = [str(self.python), "-c", _TELL_VERSION]
        try:
            told = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return told.returncode == 0 and told.stdout.strip() == _version()

    def _remove(self) -> None:
        """Move it away before deleting it, so that no half of it ever stands in its place."""
        if self.path.exists() or self.path.is_symlink():
            away = self.path.with_name(f"{self.path.name}-old-{os.getpid()}")
            self.path.rename(away)
            if away.is_symlink():
                away.unlink()
            else:
                shutil.rmtree(away)

    def _install(self, level: str, fresh: bool) -> None:
        locks = ["-r", str(self.root / LOCKS[level])]
        uv = shutil.which("uv")
        if uv is not None:
            made = not fresh or _run(
                [uv, "venv", "--quiet", "--allow-existing", "--no-project", "--python", sys.executable, str(self.path)]
            )
            if made and _run([uv, "pip", "install", "--quiet", "--python", str(self.python), "--require-hashes", *locks]):
                return
            _say("uv could not do it (its words stand above); trying with pip")
        if fresh:
            # Debian's python3 has venv, but neither ensurepip nor pip
            create = [sys.executable, "-m", "venv", "--without-pip", str(self.path)]
            if not _run(create):
                _fail("python3 cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv")
        pip = pip_for(self.python)
        if pip is None:
            _fail("pip is missing; on Debian and Ubuntu: apt-get install python3-venv")
        options = ["install", "-qq", "--no-input", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        if not _run([*pip, *options, *locks]):
            _fail("pip could not install the packages of the lock file (its words stand above); is the package index reachable?")

    def _own_scripts(self) -> bool:
        # the path stands in the first line, or, when it is long or has spaces, in the second
        try:
            with (self.path / "bin" / "twistd").open(errors="replace") as script:
                return str(self.path) in script.readline() + script.readline()
        except FileNotFoundError:
            return False

    def _find_checkout(self) -> None:
        for packages in self.path.glob("lib/python3*/site-packages"):
            (packages / "scalelab.pth").write_text(f"{self.root}\n")


def ensure(level: str = "run") -> None:
    """Return only inside the environment, with everything that ``level`` needs; otherwise run the same script again in it."""
    environment = Environment()
    if not environment.ready(level):
        environment.make(level)
    if not environment.active:
        python = str(environment.python)
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None: closed by whoever started us
            stream.flush()
        os.execv(python, [python, *sys.argv])
    if sys.path and sys.path[0] == str(ROOT / "tools"):
        # a script's folder comes first, and ours has a test.py: the standard library's names win again
        sys.path.append(sys.path.pop(0))


def script(name: str) -> str:
    """The path of a command in the environment, as ``twistd``."""
    return str(Environment().path / "bin" / name)


def _version() -> str:
    version = "{}.{}.{}".format(*sys.version_info[:3])
    return f"{sys.implementation.name} {version} {sys.platform} {os.uname().machine}"


_TELL_VERSION = "import os, sys; print(sys.implementation.name, '{}.{}.{}'.format(*sys.version_info[:3]), sys.platform, os.uname().machine)"


def pip_for(python: Path) -> list[str] | None:
    """A command that runs pip for ``python``: its own, from ensurepip's wheel, from Debian's, or this interpreter's."""
    if _quiet([str(python), "-m", "pip", "--version"]):
        return [str(python), "-m", "pip"]
    folders = [Path("/usr/share/python-wheels")]
    try:
        import ensurepip

        folders.insert(0, Path(ensurepip.__file__).parent / "_bundled")
        packaged = getattr(ensurepip, "_WHEEL_PKG_DIR", None)  # where a distribution keeps its own
        if packaged:
            folders.append(Path(packaged))
    except ImportError:
        pass  # python3-venv is not installed
    for folder in folders:
        for wheel in sorted(folder.glob("pip-*.whl")):
            return [str(python), str(wheel / "pip")]
    if _quiet([sys.executable, "-m", "pip", "--version"]):
        return [sys.executable, "-m", "pip", "--python", str(python)]
    return None


def _environ() -> dict[str, str]:
    # a PYTHONPATH or an outer environment must not decide what is "already satisfied"
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}


def _run(command: Sequence[str]) -> bool:
    # the lock file is handed down: should we be killed, an installer that works on still holds it
    return (
        subprocess.run(command, check=False, env=_environ(), stdin=subprocess.DEVNULL, stdout=sys.stderr, close_fds=False).returncode == 0
    )


def _quiet(command: Sequence[str]) -> bool:
    return subprocess.run(command, check=False, env=_environ(), stdin=subprocess.DEVNULL, capture_output=True).returncode == 0


@contextmanager
def _taking_turns(path: Path) -> Iterator[IO[bytes]]:
    """Hold the lock file at ``path``; the kernel lets go of it when the process ends, however it ends."""
    with path.open("wb") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another set-up is running; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def _say(what: str) -> None:
    print(f"scalelab: {what}", file=sys.stderr, flush=True)


def _fail(what: str) -> NoReturn:
    raise SystemExit(f"scalelab: {what}")
