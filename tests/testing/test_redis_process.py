"""A real redis-server for tests. That it answers is shown where it is compared (tests/integration)."""

import sys
from pathlib import Path

import pytest

from scalability.testing.processes import EndedError
from scalability.testing.redis_process import RedisProcess, request


def test_requests_are_arrays_of_bulk_strings() -> None:
    assert request("SET", b"\xff", 12) == b"*3\r\n$3\r\nSET\r\n$1\r\n\xff\r\n$2\r\n12\r\n"


def test_a_server_that_does_not_start_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(EndedError, match="ended without printing"):
        RedisProcess(sys.executable)
    assert list(tmp_path.iterdir()) == []
