"""The command line of the balancer."""

from pathlib import Path

import pytest

from scalability.balancer.tap import Options


def test_flags_become_the_configuration() -> None:
    options = Options()
    options.parseOptions(["--backend", "127.0.0.1:1,weight=2", "--backend", "dns:gateway:5000", "--health-interval", "0.5"])
    assert [str(backend) for backend in options.config.backend] == ["127.0.0.1:1,weight=2", "dns:gateway:5000"]
    assert options.config.health_interval_s == 0.5


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--backend", "127.0.0.1"], "--backend"),
        (["--algorithm", "fastest"], "--algorithm"),
        (["--access-log", "/nowhere/at/all/access.log"], "--access-log"),
        (["--workers", "0"], "--workers"),
        (["--workers", "5", "--max-connections", "4"], "--max-connections: 5 workers cannot share 4"),
        (["left-over"], "left-over"),
    ],
)
def test_a_bad_command_line_ends_with_one_line_that_names_the_flag(argv: list[str], named: str) -> None:
    with pytest.raises(SystemExit) as end:
        Options().parseOptions(argv)
    assert str(end.value).startswith("scalelab-lb: ")
    assert named in str(end.value)
    assert "\n" not in str(end.value)


def test_check_config_prints_what_is_in_effect_and_touches_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        Options().parseOptions(["--check-config", "--access-log", str(tmp_path / "access.log")])
    assert end.value.code == 0
    assert 'backend = ["127.0.0.1:5000","127.0.0.1:5003"]' in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
