import signal
import sys
from collections.abc import Callable

import pytest

from scalability.testing.processes import EndedError, Process, alive, environment, wait_gone

Run = Callable[..., Process]


def python(run: Run, code: str, **more: object) -> Process:
    return run(sys.executable, "-u", "-c", code, **more)


def test_the_port_is_read_from_the_line_that_a_listener_logs(run: Run) -> None:
    log = ["2026 [x#info] scalelab-cache admin listens on 127.0.0.1:15004", "2026 [x#info] scalelab-cache listens on 127.0.0.1:5004"]
    process = python(run, f"print(*{log}, sep='\\n')")
    assert process.wait_admin() == 15004
    assert process.wait_listening() == 5004


def test_an_ipv6_listener_is_understood(run: Run) -> None:
    assert python(run, "print('x listens on [::1]:81')").wait_listening() == 81


def test_a_process_that_ends_first_says_what_it_printed(run: Run) -> None:
    process = python(run, "import sys; sys.exit('scalelab-x: the port is taken')")
    assert process.wait() == 1
    with pytest.raises(EndedError, match=r"status 1.*\n(.*\n)*.*the port is taken"):
        process.wait_listening()
    assert process.stderr == "scalelab-x: the port is taken\n"
    assert process.stdout == ""


def test_a_wait_has_a_deadline(run: Run) -> None:
    process = python(run, "import time; time.sleep(30)")
    with pytest.raises(EndedError, match=r"within 0\.2 s"):
        process.wait_for("never", timeout_s=0.2)
    with pytest.raises(EndedError, match="still runs"):
        process.wait(timeout_s=0.1)


def test_a_repeated_line_can_be_waited_for(run: Run) -> None:
    assert python(run, "for n in range(3): print('run', n)").wait_for(r"run (\d)", count=3)[1] == "2"


def test_a_signal_reaches_the_process_and_its_status_is_told(run: Run) -> None:
    process = python(run, "import time; print('up'); time.sleep(30)")
    process.wait_for("up")
    assert not process.ended
    process.kill(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert process.ended
    process.kill(signal.SIGTERM)  # harmless by now


def test_closing_ends_what_ignores_sigterm_and_its_children() -> None:
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('child', child.pid)\n"
        "time.sleep(60)\n"
    )
    process = Process([sys.executable, "-u", "-c", code])
    child = int(process.wait_for(r"child (\d+)")[1])
    assert process.children() == [child]
    process.close(grace_s=0.2)
    assert wait_gone([process.pid, child]) == []
    assert process.status == -signal.SIGKILL


def test_the_standard_input_ends_when_the_parent_lets_go() -> None:
    process = Process([sys.executable, "-u", "-c", "import sys; sys.stdin.read(); print('eof')"])
    assert alive(process.pid)
    process.close(grace_s=0.1)
    assert not alive(process.pid)


def test_a_child_inherits_no_setting_of_the_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALELAB_CACHE_TTL", "1")
    assert "SCALELAB_CACHE_TTL" not in environment()
    assert environment({"SCALELAB_CACHE_TTL": "2"})["SCALELAB_CACHE_TTL"] == "2"
