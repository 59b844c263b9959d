import ast
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker

from scalability.testing.processes import CHECKOUT, Process, environment
from tools import _bootstrap
from tools._bootstrap import LOCKS, Environment

Run = Callable[..., Process]


class Installs(Environment):
    """Its packages are the bare interpreter and a twistd script: what is looked at here is when and where, not what."""

    installed: list[tuple[str, bool]]
    breaks = False

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.installed = []

    def _install(self, level: str, fresh: bool) -> None:
        self.installed.append((level, fresh))
        if fresh:
            (self.path / "bin").mkdir(parents=True, exist_ok=True)
            (self.path / "lib/python3.11/site-packages").mkdir(parents=True, exist_ok=True)
            self.python.unlink(missing_ok=True)
            self.python.symlink_to(sys.executable)
        if self.breaks:
            raise KeyboardInterrupt
        if fresh:
            (self.path / "bin/twistd").write_text(f"#!{self.path}/bin/python\n")


@pytest.fixture(autouse=True)
def _no_other_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCALELAB_VENV", raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with spaces in its path."""
    root = tmp_path / "my check out"
    root.mkdir()
    for level, lock in LOCKS.items():
        (root / lock).write_text(f"{level}==1\n")
    return root


def test_a_first_start_makes_the_environment_and_a_second_does_nothing(root: Path) -> None:
    first = Installs(root)
    assert not first.ready("run")
    first.make("run")
    assert first.installed == [("run", True)]
    assert Installs(root).ready("run")
    again = Installs(root)
    again.make("run")
    assert again.installed == []


def test_the_checkout_is_put_on_the_path_of_the_environment(root: Path) -> None:
    environment = Installs(root)
    environment.make("run")
    assert (environment.path / "lib/python3.11/site-packages/scalelab.pth").read_text() == f"{root}\n"


def test_the_tests_complete_the_environment_of_the_lab_and_do_not_undo_it(root: Path) -> None:
    environment = Installs(root)
    environment.make("run")
    environment.make("test")
    assert environment.installed == [("run", True), ("test", False)]
    assert environment.ready("run")
    assert environment.ready("test")
    assert not environment.ready("bench")


def test_an_environment_made_for_the_tests_runs_the_lab(root: Path) -> None:
    environment = Installs(root)
    environment.make("test")
    assert environment.ready("run")


def test_a_changed_lock_file_is_installed_over_what_is_there(root: Path) -> None:
    environment = Installs(root)
    environment.make("run")
    (root / LOCKS["run"]).write_text("run==2\n")
    assert not environment.ready("run")
    environment.make("run")
    assert environment.installed == [("run", True), ("run", False)]


def test_another_python_makes_it_anew(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = Installs(root)
    environment.make("run")
    monkeypatch.setattr(_bootstrap, "_version", lambda: "cpython 3.99.0 linux x86_64")
    assert not environment.ready("run")
    environment.make("run")
    assert environment.installed == [("run", True), ("run", True)]


def test_a_moved_checkout_makes_it_anew_because_scripts_name_their_path(root: Path) -> None:
    Installs(root).make("run")
    moved = root.with_name("moved here")
    root.rename(moved)
    environment = Installs(moved)
    assert not environment.ready("run")
    environment.make("run")
    assert environment.installed == [("run", True)]


def test_a_moved_environment_without_a_stamp_is_noticed_by_its_scripts(root: Path) -> None:
    environment = Installs(root)
    environment.make("run")
    (environment.path / _bootstrap.STAMP).unlink()
    (environment.path / "bin/twistd").write_text("#!/somewhere/else/bin/python\n")
    environment.make("run")
    assert environment.installed == [("run", True), ("run", False), ("run", True)]
    assert environment.ready("run")


def test_an_environment_of_the_users_own_is_completed_and_keeps_what_it_has(root: Path) -> None:
    environment = Installs(root)
    environment.make("run")
    (environment.path / _bootstrap.STAMP).unlink()
    (environment.path / "mine").touch()
    environment.make("run")
    assert environment.installed[-1] == ("run", False)
    assert (environment.path / "mine").exists()


@pytest.mark.parametrize("target", ["/nowhere/python3", "/bin/false"])
def test_an_environment_whose_interpreter_is_gone_or_broken_is_made_anew(root: Path, target: str) -> None:
    environment = Installs(root)
    (environment.path / "bin").mkdir(parents=True)
    environment.python.symlink_to(target)
    environment.make("run")
    assert environment.installed == [("run", True)]
    assert environment.ready("run")


def test_an_interrupted_set_up_is_one_line_and_is_started_over(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment = Installs(root)
    environment.breaks = True
    with pytest.raises(SystemExit) as ended:
        environment.make("run")
    assert ended.value.code == 130
    assert capsys.readouterr().err.endswith("scalelab: set-up interrupted; the next start begins it anew\n")
    assert not environment.ready("run")
    environment.breaks = False
    environment.make("run")
    assert environment.installed == [("run", True), ("run", True)]
    assert environment.ready("run")


def test_an_interrupted_change_is_started_over(root: Path) -> None:
    environment = Installs(root)
    environment.make("run")
    environment.breaks = True
    with pytest.raises(SystemExit):
        environment.make("test")
    assert not environment.ready("run")
    environment.breaks = False
    environment.make("test")
    assert environment.installed[-1] == ("test", True)
    assert environment.ready("run")


def test_a_stamp_that_is_no_json_counts_as_none(root: Path) -> None:
    environment = Installs(root)
    environment.make("run")
    for text in ("", "[]", "{"):
        (environment.path / _bootstrap.STAMP).write_text(text)
        assert not environment.ready("run")


def test_starts_at_the_same_time_take_turns_and_set_up_once(root: Path) -> None:
    environments = [Installs(root) for _ in range(4)]
    threads = [threading.Thread(target=environment.make, args=("run",)) for environment in environments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sum(len(environment.installed) for environment in environments) == 1


def test_a_folder_that_cannot_be_written_is_one_line(root: Path) -> None:
    (root / "in the way").touch()
    environment = Installs(root)
    environment.path = root / "in the way" / ".venv"
    with pytest.raises(SystemExit, match=r"^scalelab: cannot set up .*in the way.*: (Not a directory|File exists)$"):
        environment.make("run")


def test_no_pip_anywhere_is_one_line_that_names_the_package(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bootstrap, "pip_for", lambda _: None)
    monkeypatch.setattr(_bootstrap, "_run", lambda _: True)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SystemExit, match=r"^scalelab: pip is missing; .*apt-get install python3-venv$"):
        Environment(root)._install("run", True)


def test_a_uv_that_fails_is_followed_by_pip(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(command: list[str]) -> bool:
        ran.append(command)
        return Path(command[0]).name != "uv"

    monkeypatch.setattr(_bootstrap, "_run", run)
    monkeypatch.setattr(_bootstrap, "pip_for", lambda python: [str(python), "-m", "pip"])
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/uv")
    Environment(root)._install("test", True)
    assert [command[0:3] for command in ran] == [
        ["/usr/bin/uv", "venv", "--quiet"],
        [sys.executable, "-m", "venv"],
        [str(root / ".venv/bin/python"), "-m", "pip"],
    ]
    assert ran[-1][-2:] == ["-r", str(root / "requirements-test.lock")]


def test_pip_is_found_in_ensurepips_wheel_when_the_environment_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("ensurepip")
    monkeypatch.setattr(_bootstrap, "_quiet", lambda _: False)
    found = _bootstrap.pip_for(tmp_path / "python")
    assert found is not None
    assert found[0] == str(tmp_path / "python")
    assert Path(found[1]).parent.suffix == ".whl"


def test_the_interpreters_own_pip_is_the_last_resort(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    monkeypatch.setattr(_bootstrap, "_quiet", lambda command: command[0] == sys.executable)
    assert _bootstrap.pip_for(tmp_path / "python") == [sys.executable, "-m", "pip", "--python", str(tmp_path / "python")]


@pytest.mark.parametrize("tool", sorted(path.name for path in (CHECKOUT / "tools").glob("*.py")))
def test_an_older_python_can_read_every_tool_far_enough_to_say_that_it_is_too_old(tool: str) -> None:
    ast.parse((CHECKOUT / "tools" / tool).read_text(), feature_version=(3, 7))


def test_an_older_python_sees_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 2, "final", 0))
    source = (CHECKOUT / "tools/_bootstrap.py").read_text()
    with pytest.raises(SystemExit, match=r"^scalelab needs Python 3\.11 or newer; this is Python 3\.10 \(.*\)$"):
        exec(compile(source, "_bootstrap.py", "exec"), {})


# The locks


def locked(name: str) -> dict[str, str]:
    """Version by package."""
    lines = (line for line in (CHECKOUT / name).read_text().splitlines() if line and not line.startswith((" ", "#")))
    pairs = (line.partition("==") for line in lines)
    return {package: version.split()[0] for package, _, version in pairs}


def wanted(extra: str) -> Iterator[tuple[str, str]]:
    """The requirements that setup.cfg names, for an extra or, for "", at run time."""
    import configparser

    parser = configparser.ConfigParser()
    parser.read(CHECKOUT / "setup.cfg")
    text = parser["options.extras_require"][extra] if extra else parser["options"]["install_requires"]
    for line in text.strip().splitlines():
        name, _, least = line.partition(">=")
        yield name.strip().partition("[")[0].lower().replace("_", "-"), least.strip()


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


@pytest.mark.parametrize(("level", "extra"), [("run", ""), ("test", ""), ("test", "test"), ("bench", ""), ("bench", "bench")])
def test_the_lock_files_satisfy_setup_cfg(level: str, extra: str) -> None:
    versions = locked(LOCKS[level])
    for name, least in wanted(extra):
        assert name in versions, f"{name} is not in {LOCKS[level]}: run python3 tools/lock.py"
        assert numbers(versions[name]) >= numbers(least), f"{name} {versions[name]} in {LOCKS[level]} is older than setup.cfg wants"


@pytest.mark.parametrize("level", ["test", "bench"])
def test_the_other_lock_files_hold_the_first_in_the_same_versions(level: str) -> None:
    assert locked(LOCKS["run"]).items() <= locked(LOCKS[level]).items()


@pytest.mark.parametrize("lock", LOCKS.values())
def test_every_locked_package_has_hashes_and_no_host_is_named(lock: str) -> None:
    text = (CHECKOUT / lock).read_text()
    blocks = [block for block in text.replace("\\\n", "").splitlines() if block and not block.startswith("#")]
    assert blocks
    assert all(block.count("--hash=sha256:") >= 1 for block in blocks)
    assert "://" not in text
    assert "index-url" not in text


def test_what_runs_here_is_what_is_locked() -> None:
    lock = (CHECKOUT / LOCKS["test"]).read_text()
    markers = dict(re.findall(r"^(\S+)==\S+ ; (.+?) \\$", lock, re.MULTILINE))
    for package, pinned in locked(LOCKS["test"]).items():
        if package not in markers or Marker(markers[package]).evaluate():
            assert version(package) == pinned, f"{package}: run python3 tools/test.py, which completes .venv"


# For real


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a fresh clone has, in a folder with spaces, without an environment."""
    clone = tmp_path_factory.mktemp("fresh") / "a clone"
    clone.mkdir()
    for name in ("tools", "scalability", "twisted"):
        shutil.copytree(CHECKOUT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
    for lock in LOCKS.values():
        shutil.copy(CHECKOUT / lock, clone)
    return clone


def bare_environ() -> dict[str, str]:
    """What somebody has who never heard of this project: no PYTHONPATH, no uv."""
    environ = environment()
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "SCALELAB_VENV"):
        environ.pop(name, None)
    own = str(Path(sys.prefix) / "bin")
    environ["PATH"] = os.pathsep.join(part for part in environ["PATH"].split(os.pathsep) if part != own)
    return environ


def base_python() -> str:
    """The interpreter that made our environment."""
    return os.path.realpath(sys.executable)


def call(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=bare_environ(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150
    )


def test_a_fresh_clone_sets_itself_up_and_then_starts_at_once(clone: Path, tmp_path: Path) -> None:
    (clone / "tools/told.py").write_text(
        "import _bootstrap\n_bootstrap.ensure('run')\n"
        "import json, sys, twisted, scalability\n"
        "print(json.dumps([sys.argv[1:], sys.prefix, scalability.__file__]))\n"
    )
    first = call(base_python(), clone / "tools/told.py", "a b", "--c", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "setting up" in first.stderr
    expected: list[Any] = [["a b", "--c"], str(clone / ".venv"), str(clone / "scalability/__init__.py")]
    assert json.loads(first.stdout) == expected
    second = call(base_python(), clone / "tools/told.py", "a b", "--c", cwd=tmp_path)
    assert json.loads(second.stdout) == expected
    assert second.stderr == ""


def test_twistd_of_the_environment_finds_the_plugins_from_any_folder(clone: Path, tmp_path: Path) -> None:
    told = call(clone / ".venv/bin/twistd", "-n", "scalelab-cache", "--check-config", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert 'listen = "127.0.0.1:5004"' in told.stdout


def test_up_passes_its_arguments_to_the_lab(clone: Path, tmp_path: Path) -> None:
    told = call(base_python(), clone / "tools/up.py", "--gateways", "3", "--check-config", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "gateways = 3" in told.stdout


def test_an_argument_that_is_wrong_is_one_line(clone: Path, tmp_path: Path) -> None:
    told = call(base_python(), clone / "tools/up.py", "--gateways", "none", cwd=tmp_path)
    assert told.returncode == 1
    assert told.stderr.startswith("scalelab: --gateways: ")
    assert len(told.stderr.splitlines()) == 1
