from pathlib import Path

import pytest

from scalability.config import load, render
from scalability.errors import ConfigError
from scalability.worker.config import WorkerOptions


def test_the_defaults_are_those_of_the_contract() -> None:
    options = load(WorkerOptions, flags={}, environ={}, file=None)
    assert str(options.listen) == "127.0.0.1:5005"
    assert str(options.store) == "sqlite:scalelab-worker.sqlite3"
    assert options.concurrency == 10
    assert options.tasks == ()
    assert options.simulate_time_s == 5.0
    assert options.max_queue == 100_000
    assert options.grace_s == 25.0
    assert options.timeout_s == 300.0


def test_the_policy_is_that_of_the_options() -> None:
    policy = WorkerOptions(lease_s=12.0, max_attempts=3, retry_delay_s=1.5).policy
    assert (policy.lease_s, policy.max_attempts, policy.retry_base_s, policy.max_crashes) == (12.0, 3, 1.5, 3)


def test_what_is_printed_can_be_read_again(tmp_path: Path) -> None:
    environ = {"SCALELAB_WORKER_TASKS": "one two"}
    options = load(WorkerOptions, flags={"max_queue": "7", "simulate_time": "0.5"}, environ=environ, file=None)
    assert options.tasks == ("one", "two")
    (tmp_path / "c.toml").write_text(render(options))
    assert load(WorkerOptions, flags={}, environ={}, file=tmp_path / "c.toml") == options


@pytest.mark.parametrize(
    ("key", "value"),
    [("concurrency", "0"), ("concurrency", "1001"), ("max_queue", "0"), ("timeout", "0"), ("grace", "-1"), ("store", "x"), ("lease", "0")],
)
def test_a_bad_value_names_its_flag(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"^--{key.replace('_', '-')}: "):
        load(WorkerOptions, flags={key: value}, environ={}, file=None)
