"""Somebody sets the machine's date back by an hour: deadlines and health checks go on, and dates are the new ones. Real processes."""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scalability.testing.client import HTTPClient
from scalability.testing.processes import CHECKOUT, Process
from tests.integration.test_workers import until

Start = Callable[..., Process]

SET_S = -3600.0

SITE = """
import os
import time
from pathlib import Path

def _seconds(ask=time.time, file=Path(os.environ["SET_BY"])):
    return ask() + (float(text) if (text := file.read_text()) else 0.0)

time.time = _seconds
"""
"""``sitecustomize``, which Python runs before anything else: the date of a process is set by what stands in a file."""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_balancer_goes_on_when_the_date_is_set_back(start: Start, http: HTTPClient, tmp_path: Path, workers: int) -> None:
    (tmp_path / "sitecustomize.py").write_text(SITE)
    set_by, log = tmp_path / "set_by", tmp_path / "access.log"
    set_by.write_text("")
    server = start("scalelab-microservice")
    name = f"127.0.0.1:{server.wait_listening()}"
    flags = ["--backend", name, "--health-interval", "0.2", "--access-log", str(log), "--admin", "127.0.0.1:0"]
    env = {"PYTHONPATH": f"{tmp_path}:{CHECKOUT}", "SET_BY": str(set_by)}
    balancer = start("scalelab-lb", *flags, "--workers", str(workers), env=env)
    front, admin = balancer.wait_listening(), balancer.wait_admin()
    for number in range(1, workers + 1) if workers > 1 else ():
        balancer.wait_for(f"worker {number} serves", timeout_s=40)

    def told() -> Any:
        return http.get(admin, "/servers").json()

    def ahead_s() -> float:
        """How far its date is ahead of ours."""
        return parsedate_to_datetime(http.get(front, "/nowhere").headers["date"]).timestamp() - time.time()

    until(lambda: told()["servers"][0]["state"] == "up")
    assert ahead_s() == pytest.approx(0, abs=10)
    set_by.write_text(str(SET_S))
    server.stop()
    until(lambda: told()["servers"][0]["state"] == "down")
    assert ahead_s() == pytest.approx(SET_S, abs=10)
    now = time.time() + SET_S
    checks = told()["servers"][0]["checks"]["results"]
    assert (told()["at"], checks[-1]["at"]) == (pytest.approx(now, abs=10), pytest.approx(now, abs=10))
    until(lambda: len(log.read_bytes().splitlines()) == 2)  # at the next tick, that is within a second
    before, after = map(msgspec.json.decode, log.read_bytes().splitlines())
    assert (before["time"] - time.time(), after["time"] - time.time()) == (pytest.approx(0, abs=30), pytest.approx(SET_S, abs=30))
    assert 0 <= before["duration_s"] < 10
    assert 0 <= after["duration_s"] < 10
    assert balancer.stop() <= 0
    assert "Traceback" not in balancer.output
