"""The worker as a real process: killed, stopped, starved of disk, fed with rubbish."""

import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process, twistd

http = HTTPClient()

TASKS = """
import os, signal, time
from twisted.internet import reactor
from twisted.internet.task import deferLater

def note(file, line, seconds=0.0):
    time.sleep(seconds)
    with open(file, "a") as out:
        out.write(f"{line}\\n")
    return line

async def later(seconds):
    await deferLater(reactor, seconds)
    return "done"

def poison():
    os.kill(os.getpid(), signal.SIGKILL)

def hang():
    time.sleep(3600)
"""


def start(folder: Path, *args: str, tasks: bool = False) -> Process:
    if tasks:
        (folder / "lab_tasks.py").write_text(TASKS)
        args = ("--tasks", "lab_tasks", *args)
    return Process.start("scalelab-worker", "--store", f"sqlite:{folder / 'tasks'}", *args, cwd=folder)


def post(port: int, task: str, **arguments: Any) -> str:
    answer = http.post(port, "/task", json={"task": task, **arguments})
    assert answer.status == 202, answer.body
    body = answer.json()
    assert body["status"] == "Started"
    assert answer.headers["location"] == f"/tasks/{body['task_id']}"
    return str(body["task_id"])


def state(port: int, uid: str) -> dict[str, Any]:
    answer = http.get(port, f"/tasks/{uid}")
    assert answer.status == 200, uid
    body: dict[str, Any] = answer.json()
    return body


def wait_until(condition: Callable[[], object], *, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def wait_finished(port: int, uids: Iterable[str], *, timeout_s: float = 60.0) -> list[dict[str, Any]]:
    """The states of these tasks once each has finished."""
    deadline = time.monotonic() + timeout_s
    finished = []
    for uid in uids:
        while (found := state(port, uid))["status"] not in ("succeeded", "dead"):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        finished.append(found)
    return finished


def one_line(process: Process) -> str:
    """What a process that could not start said, and that it said no more."""
    assert process.wait() not in (0, None)
    assert "Traceback" not in process.output
    (line,) = process.stderr.strip().splitlines()
    return line


def test_the_lab_s_task_takes_its_time_and_its_start_and_completion_stand_in_the_log(tmp_path: Path) -> None:
    with start(tmp_path, "--simulate-time", "0.3") as worker:
        port = worker.wait_listening()
        uid = post(port, "report")
        worker.wait_for(f"task report {uid} started")
        worker.wait_for(f"task report {uid} completed")
        (task,) = wait_finished(port, [uid])
        assert (task["status"], task["result"]) == ("succeeded", {"simulated_s": 0.3})
        assert task["finished_at"] - task["started_at"] >= 0.29


def has_lines(file: Path, number: int) -> bool:
    return file.exists() and file.read_text().count("\n") > number


def test_every_accepted_task_finishes_although_the_worker_is_killed_again_and_again(tmp_path: Path) -> None:
    done = tmp_path / "done"
    uids: list[str] = []
    for _ in range(3):
        with start(tmp_path, tasks=True) as worker:
            port = worker.wait_listening()
            uids += [post(port, "note", file=str(done), line=str(len(uids) + n), seconds=0.02) for n in range(100)]
            wait_until(partial(has_lines, done, len(uids) // 3))
            worker.kill(signal.SIGKILL)
            worker.wait()
    with start(tmp_path, tasks=True) as worker:
        port = worker.wait_listening()
        finished = wait_finished(port, uids)
    assert {task["status"] for task in finished} == {"succeeded"}
    assert [task["result"] for task in finished] == [str(n) for n in range(300)]
    # at least once: only what ran when it was killed may have run twice
    lines = done.read_text().split()
    assert set(lines) == {str(n) for n in range(300)}
    assert len(lines) <= 300 + 3 * 10


def test_every_202_is_there_after_a_kill_under_concurrent_posts(tmp_path: Path) -> None:
    accepted: list[str] = []
    for _ in range(3):
        with start(tmp_path, "--simulate-time", "600") as worker:
            port = worker.wait_listening()
            target = len(accepted) + 60

            def hammer(_: int, port: int = port, target: int = target, worker: Process = worker) -> None:
                while not worker.ended:
                    try:
                        accepted.append(post(port, "report"))
                    except (OSError, AssertionError):
                        return
                    if len(accepted) == target:
                        worker.kill(signal.SIGKILL)

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(hammer, range(8)))
            worker.wait()
    assert len(accepted) >= 180
    with start(tmp_path, "--simulate-time", "600") as worker:
        port = worker.wait_listening()
        assert {state(port, uid)["status"] for uid in accepted} <= {"queued", "running"}
        worker.kill(signal.SIGKILL)
        worker.wait()
    connection = sqlite3.connect(tmp_path / "tasks")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_no_202_leaves_before_the_disk_has_its_commit(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    argv = ["strace", "-f", "-o", str(trace), "-e", "trace=fsync,fdatasync,write,writev,sendto,sendmsg,recvfrom,read", "-s", "24"]
    argv += [sys.executable, twistd(), "-n", "scalelab-worker", "--listen", "127.0.0.1:0", "--store", f"sqlite:{tmp_path / 'tasks'}"]
    with Process(argv) as worker:
        port = worker.wait_listening(timeout_s=60.0)
        for _ in range(5):
            post(port, "report")
        # the tracer passes nothing on: its child is ended by its own id
        (child,) = worker.children()
        os.kill(child, signal.SIGTERM)
        worker.wait()
    synced = False
    answered = 0
    for line in trace.read_text().splitlines():
        if '"POST /task' in line:
            synced = False
        elif re.search(r"(fdatasync|fsync)(\(\d+\)| resumed>\)?.*)\s+= 0", line):
            synced = True
        elif '"HTTP/1.1 202' in line:
            assert synced, "a 202 was sent before its commit was synced"
            answered += 1
    assert answered == 5


def test_a_full_queue_is_429_and_takes_tasks_again_when_it_has_room(tmp_path: Path) -> None:
    with start(tmp_path, "--max-queue", "5", "--concurrency", "1", "--simulate-time", "0.5") as worker:
        port = worker.wait_listening()
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda _: http.post(port, "/task", json={"task": "report"}), range(20)))
        refused = [answer for answer in answers if answer.status != 202]
        assert 5 <= 20 - len(refused) <= 7
        for answer in refused:
            assert (answer.status, answer.json()["error"], answer.headers["retry-after"]) == (429, "queue_full", "1")
        wait_until(lambda: http.post(port, "/task", json={"task": "report"}).status == 202)


def test_a_full_disk_is_503_and_never_a_202_and_heals_by_itself(tmp_path: Path) -> None:
    with start(tmp_path, "--simulate-time", "600", "--admin", "127.0.0.1:0") as worker:
        port = worker.wait_listening()
        kept = [post(port, "report")]
        _, hard = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (4096, hard))
        for _ in range(3):
            answer = http.post(port, "/task", json={"task": "report"})
            assert (answer.status, answer.json()["error"], answer.headers["retry-after"]) == (503, "store_unavailable", "1")
        assert http.get(port, "/health").status == 200
        assert http.get(worker.wait_admin(), "/readyz").status == 503
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (hard, hard))
        kept.append(post(port, "report"))
        assert {state(port, uid)["status"] for uid in kept} <= {"queued", "running"}
        assert http.get(worker.wait_admin(), "/readyz").status == 200
        worker.kill(signal.SIGKILL)


def test_stopping_gives_back_what_does_not_end_in_time_with_its_attempt_unspent(tmp_path: Path) -> None:
    with start(tmp_path, "--grace", "1", tasks=True) as worker:
        port = worker.wait_listening()
        uids = [post(port, "later", seconds=600), post(port, "hang")]
        short = post(port, "later", seconds=0.5)
        wait_until(lambda: http.get(port, "/health").json()["running"] == 3)
        began = time.monotonic()
        worker.stop()
        assert time.monotonic() - began < 4
        assert "Traceback" not in worker.output
    with start(tmp_path, tasks=True) as worker:
        port = worker.wait_listening()
        assert state(port, short)["status"] == "succeeded"
        wait_until(lambda: all(state(port, uid)["status"] == "running" for uid in uids))
        assert [state(port, uid)["attempts"] for uid in uids] == [1, 1]
        worker.kill(signal.SIGKILL)


def test_a_task_that_kills_its_process_is_dead_after_three_times_while_the_others_finish(tmp_path: Path) -> None:
    uids: list[str] = []
    poison = ""
    for crash in range(3):
        with start(tmp_path, tasks=True) as worker:
            if crash == 0:
                port = worker.wait_listening()
                uids = [post(port, "later", seconds=0.5) for _ in range(5)]
                poison = post(port, "poison")
            assert worker.wait() == -signal.SIGKILL
    with start(tmp_path, tasks=True) as worker:
        port = worker.wait_listening()
        (dead,) = wait_finished(port, [poison])
        assert (dead["status"], dead["attempts"]) == ("dead", 3)
        assert dead["error"].startswith("poison: 3 crashes in a row")
        assert {task["status"] for task in wait_finished(port, uids)} == {"succeeded"}


def test_bad_requests_are_answered_clearly(tmp_path: Path) -> None:
    with start(tmp_path, tasks=True) as worker:
        port = worker.wait_listening()
        json = {"Content-Type": "application/json"}
        for body, headers, expected in (
            (b'{"task": "note"', json, 400),
            (b'{"task": "\xff"}', json, 400),
            (b"task=note", {"Content-Type": "text/plain"}, 415),
            (b'{"task": "note", "x": "' + b"x" * (1 << 20) + b'"}', json, 413),
            (b'{"task": "nothing"}', json, 422),
            (b'{"task": "note", "wrong": 1}', json, 422),
        ):
            answer = http.post(port, "/task", body=body, headers=headers)
            assert answer.status == expected
            assert set(answer.json()) == {"error", "message"}
        assert "byte" in http.post(port, "/task", body=b'{"task": nope}', headers=json).json()["message"]
        assert http.get(port, "/tasks/nope").status == 404
        assert http.get(port, "/health").json()["queue_depth"] == 0
        assert "Traceback" not in worker.output


def test_a_client_that_goes_away_leaves_a_working_server(tmp_path: Path) -> None:
    with start(tmp_path, "--simulate-time", "0.1") as worker:
        port = worker.wait_listening()
        head = b"POST /task HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n"
        for sent in (head + b'{"task"', head + b'{"task": "report"}'):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(sent)
        wait_finished(port, [post(port, "report")])
        wait_until(lambda: http.get(port, "/health").json()["running"] == 0)
        assert http.get(port, "/health").json()["queue_depth"] == 0
        assert "Traceback" not in worker.output
        assert "Unhandled" not in worker.output


def test_what_cannot_start_says_so_in_one_line(tmp_path: Path) -> None:
    with start(tmp_path) as first:
        port = first.wait_listening()
        with start(tmp_path) as second:
            assert f"is in use by process {first.pid}" in one_line(second)
        other = f"sqlite:{tmp_path / 'other'}"
        with Process.start("scalelab-worker", "--store", other, listen=f"127.0.0.1:{port}") as second:
            assert f"cannot listen on 127.0.0.1:{port}" in one_line(second)
    with Process.start("scalelab-worker", "--store", "sqlite:/proc/tasks") as worker:
        assert one_line(worker).startswith("scalelab-worker: cannot open --store /proc/tasks")
    (tmp_path / "broken_tasks.py").write_text("import what_is_not_there\n")
    with Process.start("scalelab-worker", "--store", other, "--tasks", "broken_tasks", cwd=tmp_path) as worker:
        assert one_line(worker).startswith("scalelab-worker: --tasks: cannot import broken_tasks: ModuleNotFoundError")


def test_the_file_of_the_database_service_is_refused(tmp_path: Path) -> None:
    with Process.start("scalelab-database", "--store", f"sqlite:{tmp_path / 'tasks'}") as database:
        database.wait_listening()
        database.stop()
    with start(tmp_path) as worker:
        assert "not one of task queues" in one_line(worker)


def test_metrics_and_readiness_stand_on_the_admin_listener(tmp_path: Path) -> None:
    with start(tmp_path, "--simulate-time", "0", "--admin", "127.0.0.1:0") as worker:
        port, admin = worker.wait_listening(), worker.wait_admin()
        wait_finished(port, [post(port, "report")])
        metrics = http.get(admin, "/metrics").text
        assert "scalelab_tasks_enqueued_total 1.0" in metrics
        assert 'scalelab_tasks_finished_total{outcome="succeeded"} 1.0' in metrics
        assert "scalelab_store_commit_seconds_count" in metrics
        assert http.get(admin, "/readyz").status == 200
        assert http.get(admin, "/healthz").json() == {"status": "ok"}
