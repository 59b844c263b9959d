import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scalability.testing.processes import CHECKOUT
from tools import compose_test as tool


@pytest.fixture
def no_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(tool, "answers", lambda _: False)


def reason(folder: Path) -> str:
    with pytest.raises(tool.NotHere) as told, tool.daemon(folder):
        pass
    return str(told.value)


@pytest.mark.usefixtures("no_daemon")
def test_a_machine_without_docker_says_why_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert reason(tmp_path) == "no Docker daemon answers, and only root can start one"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert reason(tmp_path) == "no Docker daemon answers, and dockerd is not installed"
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    assert reason(tmp_path) == "no daemon answers at DOCKER_HOST"


@pytest.mark.usefixtures("no_daemon")
def test_a_daemon_that_cannot_start_is_told_with_its_own_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin/dockerd"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "level=info msg=starting"\necho "failed to start daemon: no permission for mounts"\nexit 1\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert reason(tmp_path) == "dockerd cannot start: failed to start daemon: no permission for mounts"


def test_a_machine_where_it_cannot_run_is_status_77(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def not_here(*_: object) -> int:
        raise tool.NotHere("the docker command is not installed")

    monkeypatch.setattr(tool, "try_it", not_here)
    monkeypatch.setattr("sys.argv", ["compose_test.py"])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert tool.main() == 77
    assert capsys.readouterr().out == "compose: not run: the docker command is not installed\n"


def test_a_lab_that_does_not_hold_is_status_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object) -> int:
        raise tool.Broken("gateway is healthy: not within 60 s")

    monkeypatch.setattr(tool, "try_it", broken)
    monkeypatch.setattr("sys.argv", ["compose_test.py"])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert tool.main() == 1
    assert "FAILED: gateway is healthy" in capsys.readouterr().out


def test_a_command_that_fails_is_broken_with_its_words(tmp_path: Path) -> None:
    docker = tool.Docker(dict(os.environ), ["docker-compose"])
    docker.context = tmp_path
    assert docker.run("sh", "-c", "echo fine") == "fine\n"
    with pytest.raises(tool.Broken, match=r"status 3:\nwhat\nwhy"):
        docker.run("sh", "-c", "echo what; echo why >&2; exit 3")
    with pytest.raises(tool.Broken, match="took more than"):
        docker.run("sleep", "5", timeout_s=0.1)


def test_a_taken_port_is_exchanged_for_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert tool.free_port(port) not in (0, port)
    assert tool.free_port(0) > 0


def test_the_build_context_has_what_the_dockerfile_copies_and_nothing_else(tmp_path: Path) -> None:
    tool.fill_context(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"Dockerfile", ".dockerignore", "docker-compose.yml", "requirements.lock", "scalability", "twisted"}
    assert not list(tmp_path.rglob("__pycache__"))
    copied = re.findall(r"^COPY (?!--from)(\S+)", (tmp_path / "Dockerfile").read_text(), re.MULTILINE)
    assert set(copied) <= names


# The files themselves, where no Docker is needed to see that they are right


def services() -> dict[str, str]:
    text = (CHECKOUT / "docker-compose.yml").read_text()
    blocks = re.split(r"^  (\w+):\n", text[text.index("\nservices:\n") : text.index("\nvolumes:\n")], flags=re.MULTILINE)
    return dict(zip(blocks[1::2], blocks[2::2], strict=True))


def test_every_server_of_the_lab_is_a_service_with_a_health_check_on_its_port() -> None:
    assert services().keys() == tool.SERVICES.keys()
    for name, port in tool.SERVICES.items():
        block = services()[name]
        assert f"0.0.0.0:{port}" in block
        assert f"'127.0.0.1', {port}," in block
        assert "<<: *server" in block


def test_only_the_balancer_publishes_a_port() -> None:
    assert [name for name, block in services().items() if "ports:" in block] == ["lb"]


def test_the_flags_of_every_service_are_accepted_by_its_plugin(tmp_path: Path) -> None:
    from importlib import import_module

    rooms = {"lb": "balancer"}
    for name, block in services().items():
        (listed,) = re.findall(r"command:(?: \[(.*?)\]\n|\n((?: {6}- .*\n)+))", block)
        words = re.split(r",\s*", listed[0]) if listed[0] else [line.strip()[2:] for line in listed[1].splitlines()]
        plugin, *flags = (word.strip('"') for word in words)
        options: Any = import_module(f"scalability.{rooms.get(name, name)}.tap").Options()
        assert plugin == options.plugin
        options.parseOptions([flag.replace("/var/lib/scalelab", str(tmp_path)) for flag in flags])
        assert options.config.listen.port == tool.SERVICES[name]


def test_ci_is_a_script_that_bash_can_read() -> None:
    assert subprocess.run(["bash", "-n", CHECKOUT / ".ci/run"], stdin=subprocess.DEVNULL).returncode == 0
    assert os.access(CHECKOUT / ".ci/run", os.X_OK)
