import pytest

from scalability.database.tap import Options


def test_check_config_prints_the_effective_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        Options().parseOptions(["--check-config", "--latency", "0.25"])
    assert ended.value.code == 0
    assert "latency = 0.25" in capsys.readouterr().out


def test_a_bad_flag_is_one_line() -> None:
    with pytest.raises(SystemExit, match=r"^scalelab-database: --store: 'x' is not sqlite:FILE$"):
        Options().parseOptions(["--store", "x"])


def test_help_explains_every_flag() -> None:
    text = str(Options())
    for flag in ("--listen", "--admin", "--config", "--check-config", "--store", "--latency", "--concurrency"):
        assert flag in text
