"""What ``scalelab-cache`` can be told."""

from pathlib import Path

import pytest

from scalability.cache.config import CacheOptions
from scalability.config import Address, load
from scalability.errors import ConfigError


def loaded(**flags: str) -> CacheOptions:
    return load(CacheOptions, flags=flags, environ={}, file=None)


def test_the_defaults_are_the_contracts() -> None:
    options = loaded()
    assert options.listen == Address("127.0.0.1", 5004)
    assert (options.ttl_s, options.sweep_interval_s, options.max_bytes, options.max_entries) == (30.0, 1.0, 256 * 1024 * 1024, 0)
    assert options.admin is None


def test_every_value_comes_from_flag_environment_or_file(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text("[cache]\nttl = 5\nsweep_interval = 0.5\nmax_entries = 10\n")
    options = load(CacheOptions, flags={"max_entries": "7"}, environ={"SCALELAB_CACHE_TTL": "6"}, file=file)
    assert (options.ttl_s, options.sweep_interval_s, options.max_entries) == (6.0, 0.5, 7)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ttl", "0"),
        ("ttl", "-1"),
        ("ttl", "inf"),
        ("ttl", "nan"),
        ("ttl", "soon"),
        ("sweep_interval", "0"),
        ("max_bytes", "0"),
        ("max_entries", "-1"),
        ("snapshot_interval", "0"),
        ("snapshot_interval", "nan"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"--{key.replace('_', '-')}"):
        loaded(**{key: value})
