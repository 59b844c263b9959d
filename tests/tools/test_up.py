import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scalability.testing.client import HTTPClient
from scalability.testing.lab import OFFSETS, free_base, write_config
from scalability.testing.processes import CHECKOUT, Process, wait_gone


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_one_command_starts_the_whole_lab_and_a_signal_to_it_stops_everything(
    tmp_path: Path, run: Callable[..., Process], http: HTTPClient, sig: signal.Signals
) -> None:
    base = free_base()
    write_config(tmp_path / "lab.toml", base)
    flags = ["--config", str(tmp_path / "lab.toml"), "--data-dir", str(tmp_path / "data")]
    process = run(sys.executable, str(CHECKOUT / "tools/up.py"), *flags, cwd=tmp_path)
    process.wait_for("ready", timeout_s=40)
    answer = http.get(base + OFFSETS["lb"], "/data")
    assert (answer.status, answer.json()) == (200, {"cached": False, "data": "Fetched fresh data from DB"})
    children = process.children()
    assert len(children) == 7, "two gateways and one of each other server"
    process.kill(sig)
    # the lab took the place of the script: twistd ends a stopped process as the signal would
    assert process.wait(timeout_s=45) in (0, -sig)
    assert wait_gone(children) == []
    assert "Traceback" not in process.output
