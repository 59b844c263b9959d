"""The whole lab as its user has it: real processes, killed in turn."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from scalability.testing.client import HTTPClient
from scalability.testing.lab import OFFSETS, Lab, free_base, whole_lab, write_config
from scalability.testing.processes import CHECKOUT, Process, alive, wait_gone

CHILDREN = ("cache", "database", "microservice", "worker", "gateway-1", "gateway-2", "lb")
Starts = Callable[..., Process]


def pid_of(lab: Lab, child: str) -> int:
    """The process of a child, found by what it was told to listen on or to be."""
    for pid in lab.process.children():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        component = child.partition("-")[0]
        if f"scalelab-{component}" not in words:
            continue
        second = f"127.0.0.1:{lab.gateways[1]}" in words
        if child != f"gateway-{1 if second else 2}":
            return pid
    raise AssertionError(f"{child} does not run; the lab printed:\n{lab.process.output}")


def kill(lab: Lab, child: str) -> None:
    """SIGKILL it."""
    os.kill(pid_of(lab, child), signal.SIGKILL)


def wait_ready_again(lab: Lab, child: str, times: int = 1) -> None:
    lab.process.wait_for(rf"\[lab\] {child} is ready again", count=times, timeout_s=20)


def wait_balanced(lab: Lab, http: HTTPClient) -> None:
    """Until the balancer has both gateways in its rotation: one child at a time is killed, and this one is back."""
    deadline = time.monotonic() + 20
    while any(server["state"] != "up" for server in http.get(lab.port("lb"), "/health").json()["servers"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with whole_lab(tmp_path, more={"worker": {"simulate_time": 0.05}, "gateway": {"ttl": 60}}) as running:
        yield running


class Tasks(Thread):
    """Queues a task every few milliseconds, and remembers those that were accepted."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._halt = Event()
        self.accepted: list[str] = []
        self.refused = 0

    def run(self) -> None:
        http = HTTPClient()
        while not self._halt.wait(0.02):
            try:
                answer = http.post(self._url, "/longtask", json={"task": "report"})
            except OSError:
                self.refused += 1
                continue
            if answer.status == 202:
                self.accepted.append(answer.json()["task_id"])
            else:
                self.refused += 1

    def stop(self) -> None:
        self._halt.set()
        self.join()


def test_every_child_is_ready_prefixed_and_a_process_of_its_own(lab: Lab) -> None:
    printed = lab.process.output
    assert len(lab.process.children()) == len(CHILDREN)
    for child in CHILDREN:
        assert f"[{child}] scalelab-{child.partition('-')[0]} listens on 127.0.0.1:" in printed
    assert f"curl -s http://127.0.0.1:{lab.port('lb')}/data" in printed
    assert {os.getsid(pid) for pid in lab.process.children()} == set(lab.process.children()), "Ctrl-C in the terminal reaches the lab alone"


def test_with_data_warm_a_killed_child_costs_no_failed_get_and_no_accepted_task(
    lab: Lab, http: HTTPClient, run: Callable[..., Process]
) -> None:
    url = f"http://127.0.0.1:{lab.port('lb')}"
    for gateway in lab.gateways:
        assert http.get(gateway, "/data").status == 200
    load = run(sys.executable, "tools/loadtest.py", f"{url}/data", "--clients", "2", "--duration", "3600", "--json", cwd=CHECKOUT)
    tasks = Tasks(url)
    tasks.start()
    try:
        for child in CHILDREN[:-1]:
            kill(lab, child)
            wait_ready_again(lab, child)
            wait_balanced(lab, http)
        assert tasks.accepted
    finally:
        tasks.stop()
    load.kill(signal.SIGINT)
    load.wait()
    told = json.loads(load.stdout)
    assert told["failures"] == 0, told["errors"]
    assert told["success"] > 100
    deadline = time.monotonic() + 30
    left = list(tasks.accepted)
    while left:
        assert time.monotonic() < deadline, f"{len(left)} of {len(tasks.accepted)} accepted tasks did not finish"
        left = [task for task in left if http.get(url, f"/tasks/{task}").json().get("status") != "succeeded"]


def test_a_killed_balancer_serves_again_within_two_seconds(lab: Lab, http: HTTPClient) -> None:
    took: list[float] = []
    for times in (1, 2, 3):
        began = time.monotonic()
        kill(lab, "lb")
        while True:
            try:
                if http.get(lab.port("lb"), "/data").status == 200:
                    break
            except OSError:
                pass
            assert time.monotonic() - began < 15
            time.sleep(0.01)
        took.append(time.monotonic() - began)
        wait_ready_again(lab, "lb", times)
        if took[-1] <= 2.0:
            return  # on a machine that does something else besides, one of three is enough
    pytest.fail(f"the balancer served again after {took} s")


def test_a_killed_supervisor_leaves_no_orphan(lab: Lab) -> None:
    children = lab.process.children()
    assert len(children) == len(CHILDREN)
    lab.process.kill(signal.SIGKILL)
    lab.process.wait()
    assert wait_gone(children, timeout_s=15) == []


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_lab_ends_all_its_children_in_order(lab: Lab, sig: int) -> None:
    children = lab.process.children()
    lab.process.kill(sig)
    assert lab.process.wait() == -sig  # as twistd ends by these signals
    assert [pid for pid in children if alive(pid)] == []
    assert "Traceback" not in lab.process.output
    assert "did not end in time" not in lab.process.output
    assert "is killed" not in lab.process.output


def test_a_second_ctrl_c_is_a_hurry(lab: Lab) -> None:
    children = lab.process.children()
    with socket.create_connection(("127.0.0.1", lab.port("lb"))) as slow:
        slow.sendall(b"POST /longtask HTTP/1.1\r\nHost: lab\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        time.sleep(0.3)  # the balancer has forwarded the head
        began = time.monotonic()
        lab.process.kill(signal.SIGINT)
        lab.process.wait_for("stopping every server")
        time.sleep(0.5)
        assert not lab.process.ended, "a request is still on its way"
        lab.process.kill(signal.SIGINT)
        assert lab.process.wait(timeout_s=10) == -signal.SIGINT
        assert time.monotonic() - began < 10
    assert [pid for pid in children if alive(pid)] == []
    assert "Traceback" not in lab.process.output


def test_a_taken_port_is_noticed_before_anything_starts(start: Starts, tmp_path: Path) -> None:
    base = free_base()
    write_config(tmp_path / "lab.toml", base)
    with socket.socket() as other:
        other.bind(("127.0.0.1", base + OFFSETS["worker"]))
        other.listen(1)
        process = start("scalelab", config=str(tmp_path / "lab.toml"), listen=None, cwd=tmp_path)
        assert process.wait() == 1
    assert process.stderr == (
        f"scalelab: cannot listen on 127.0.0.1:{base + OFFSETS['worker']} for worker: Address already in use; is the lab running already?\n"
    )
    assert "starting" not in process.stdout


def test_a_child_that_cannot_start_ends_the_lab_with_one_line(start: Starts, tmp_path: Path) -> None:
    write_config(tmp_path / "lab.toml", free_base())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "database.sqlite3").write_text("this is no database " * 100)
    process = start("scalelab", "--data-dir", str(tmp_path / "data"), config=str(tmp_path / "lab.toml"), listen=None, cwd=tmp_path)
    process.wait_for("starting cache")
    children = process.children()
    assert process.wait() == 1
    [line] = process.stderr.splitlines()
    assert line.startswith("scalelab: database ended with status 1 before it was ready; its last words: scalelab-database:")
    assert [pid for pid in children if alive(pid)] == []
    assert "everything is ready" not in process.stdout


def test_three_gateways_an_admin_listener_and_paths_with_spaces(start: Starts, http: HTTPClient, tmp_path: Path) -> None:
    base = free_base()
    write_config(tmp_path / "my lab.toml", base)
    admin = base + 15
    flags = ["--gateways", "3", "--data-dir", "my data", "--admin", f"127.0.0.1:{admin}"]
    process = start("scalelab", *flags, config="my lab.toml", listen=None, cwd=tmp_path)
    process.wait_for("everything is ready", timeout_s=40)
    assert http.get(base + OFFSETS["gateway"] + 6, "/health").status == 200
    assert sorted(path.suffix for path in (tmp_path / "my data").iterdir() if path.suffix == ".sqlite3") == [".sqlite3"] * 2
    assert http.get(admin, "/readyz").json() == {"status": "ready"}
    assert 'scalelab_child_ready{child="gateway-3"} 1.0' in http.get(admin, "/metrics").text
    assert {http.get(base, "/data").status for _ in range(6)} == {200}


def test_check_config_checks_every_table(start: Starts, tmp_path: Path) -> None:
    def checked(text: str) -> Process:
        (tmp_path / "lab.toml").write_text(text)
        process = start("scalelab", "--check-config", config="lab.toml", listen=None, cwd=tmp_path)
        process.wait()
        return process

    good = checked("[gateway]\nlisten = '127.0.0.1:7000'\n[cache]\nlisten = '127.0.0.1:7004'\n")
    assert good.status == 0
    assert 'backend = ["127.0.0.1:7000","127.0.0.1:7003"]' in good.stdout
    assert 'cache = "http://127.0.0.1:7004"' in good.stdout
    again = checked(good.stdout)
    assert (again.status, again.stdout) == (0, good.stdout)
    for text, named in (
        ("[worker]\nconcurency = 3\n", "concurency"),
        ("[gatway]\nttl = 1\n", "gatway"),
        ("[cache]\nlisten = '127.0.0.1:60000'\n", "[cache] admin"),
        ("[worker]\ntasks = ['no_such_module_here']\n", "no_such_module_here"),
    ):
        bad = checked(text)
        assert bad.status == 1, text
        assert len(bad.stderr.splitlines()) == 1, bad.stderr
        assert named in bad.stderr
    assert not (tmp_path / ".scalelab").exists(), "looking at the configuration leaves nothing behind"
