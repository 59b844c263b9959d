from pathlib import Path

import pytest

from scalability.config import load, render
from scalability.database.config import DatabaseOptions
from scalability.errors import ConfigError


def test_the_defaults_are_those_of_the_contract() -> None:
    options = load(DatabaseOptions, flags={}, environ={}, file=None)
    assert str(options.listen) == "127.0.0.1:5002"
    assert str(options.store) == "sqlite:scalelab-database.sqlite3"
    assert options.latency_s == 0
    assert options.concurrency == 100


def test_what_is_printed_can_be_read_again(tmp_path: Path) -> None:
    options = load(
        DatabaseOptions, flags={"store": "sqlite:/x/y", "latency": "0.5"}, environ={"SCALELAB_DATABASE_CONCURRENCY": "7"}, file=None
    )
    (tmp_path / "c.toml").write_text(render(options))
    assert load(DatabaseOptions, flags={}, environ={}, file=tmp_path / "c.toml") == options


@pytest.mark.parametrize(
    ("flag", "value"), [("latency", "-1"), ("latency", "nan"), ("concurrency", "0"), ("store", "redis:x"), ("listen", "x")]
)
def test_a_bad_value_names_its_flag(flag: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"^--{flag}: "):
        load(DatabaseOptions, flags={flag: value}, environ={}, file=None)
