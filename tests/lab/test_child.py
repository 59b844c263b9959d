"""The way the lab starts its children."""

import os
import sys

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins

from scalability.lab.child import LOGGER, ChildOptions, service_makers
from scalability.testing.processes import Process


def test_the_plugins_are_those_that_twistd_finds() -> None:
    found = {maker.tapname for maker in getPlugins(IServiceMaker) if maker.tapname.startswith("scalelab")}
    assert {maker.tapname for maker in service_makers()} == found
    assert "scalelab-cache" in found


def test_twistd_still_asks_for_its_plugins_where_we_put_them() -> None:
    names = [name for name, *_ in ChildOptions().subCommands]
    assert names == sorted(maker.tapname for maker in service_makers())


def test_a_child_leads_its_own_session_and_logs_plain_lines() -> None:
    argv = [sys.executable, "-m", "scalability.lab.child", "-n", f"--logger={LOGGER}", "scalelab-cache", "--listen", "127.0.0.1:0"]
    with Process(["sh", "-c", "exec setsid --fork --wait " + " ".join(argv)]) as process:
        process.wait_for(r"^scalelab-cache listens on 127.0.0.1:\d+$")
        [child] = process.children() or [process.pid]
        assert os.getsid(child) == child


def test_the_wrong_flag_of_a_child_is_one_line() -> None:
    with Process([sys.executable, "-m", "scalability.lab.child", "-n", "scalelab-cache", "--bogus"]) as process:
        assert process.wait() == 1
        assert len(process.stderr.splitlines()) == 1
        assert "--bogus" in process.stderr
