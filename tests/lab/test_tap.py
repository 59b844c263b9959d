"""The lab's command line."""

import os
from pathlib import Path

import pytest

from scalability.lab.plan import LabPlan
from scalability.lab.tap import Options, makeService


def parsed(*args: str) -> Options:
    options = Options()
    options.parseOptions(args)
    return options


def test_the_flags_make_a_plan() -> None:
    options = parsed("--gateways", "3", "--data-dir", "d", "--admin", ":9")
    assert isinstance(options.plan, LabPlan)
    assert len(options.plan.of("gateway")) == 3
    assert options.config.data_dir == "d"


def test_check_config_prints_a_table_for_every_server(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed("--check-config")
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for table in ("lab", "lb", "gateway", "cache", "database", "microservice", "worker"):
        assert f"[{table}]\n" in shown


@pytest.mark.parametrize(
    ("args", "named"),
    [(["--listen", ":1"], "--listen"), (["--gateways", "0"], "--gateways"), (["x"], "'x'"), (["--config", "/no"], "--config")],
)
def test_a_mistake_is_one_line(args: list[str], named: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(*args)
    assert str(ended.value).startswith("scalelab: ")
    assert named in str(ended.value)
    assert "\n" not in str(ended.value)


def test_a_mistake_in_a_servers_table_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text("[cache]\nttl = 0\n")
    with pytest.raises(SystemExit, match=r"scalelab: .*\[cache\] ttl"):
        parsed("--config", str(file))


def test_the_service_is_the_whole_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scalability.lab.service.taken", lambda addresses: None)
    monkeypatch.setenv("SCALELAB_PARENT_PIPE", "1")
    registered: list[object] = []
    monkeypatch.setattr("atexit.register", registered.append)
    service = makeService(parsed("--data-dir", str(tmp_path / "data"), "--admin", ":9"))
    assert os.path.isdir(tmp_path / "data")
    names = [type(child).__name__ for child in service]  # type: ignore[attr-defined]  # a MultiService
    assert names == ["Supervisor", "ReadinessWatch", "DeadlineWheel", "ParentWatch", "Listener"]
    assert list(service.supervisor.children)[:4] == ["cache", "database", "microservice", "worker"]  # type: ignore[attr-defined]
