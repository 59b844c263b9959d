"""The database service as a real process."""

import resource
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process

http = HTTPClient()


def start(folder: Path, *args: str) -> Process:
    return Process.start("scalelab-database", "--store", f"sqlite:{folder / 'db'}", *args)


def test_what_was_answered_is_there_after_a_kill(tmp_path: Path) -> None:
    with start(tmp_path) as database:
        port = database.wait_listening()
        assert http.get(port, "/db").json() == {"message": "Fetched fresh data from DB"}
        kept: list[int] = []

        def put(n: int) -> None:
            try:
                if http.put(port, f"/db/{n}", json={"n": n}).status == 201:
                    kept.append(n)
            except OSError:
                pass
            if n == 100:
                database.kill(signal.SIGKILL)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, range(200)))
        database.wait()
    assert len(kept) >= 90
    with start(tmp_path) as database:
        port = database.wait_listening()
        for n in kept:
            assert http.get(port, f"/db/{n}").json() == {"n": n}
        assert database.stop() == -signal.SIGTERM  # as twistd gives it


def test_a_body_above_the_limit_is_413_and_one_at_the_limit_is_kept(tmp_path: Path) -> None:
    with start(tmp_path) as database:
        port = database.wait_listening()
        at_limit = b'"' + b"x" * ((1 << 20) - 2) + b'"'
        assert http.put(port, "/db/k", body=at_limit, headers={"Content-Type": "application/json"}).status == 201
        assert http.get(port, "/db/k").body == at_limit
        above = http.put(port, "/db/k", body=at_limit + b" ", headers={"Content-Type": "application/json"})
        assert (above.status, above.json()["error"]) == (413, "body_too_large")


def test_a_key_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    with start(tmp_path) as database:
        port = database.wait_listening()
        answer = http.get(port, "/db/%FF")
        assert (answer.status, answer.json()["error"]) == (400, "bad_request")
        assert "Traceback" not in database.output


def test_a_full_disk_is_503_for_writers_and_heals_by_itself(tmp_path: Path) -> None:
    with start(tmp_path, "--admin", "127.0.0.1:0") as database:
        port, admin = database.wait_listening(), database.wait_admin()
        assert http.put(port, "/db/k", json=1).status == 201
        _, hard = resource.prlimit(database.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(database.pid, resource.RLIMIT_FSIZE, (4096, hard))
        answer = http.put(port, "/db/k", json=2)
        assert (answer.status, answer.json()["error"], answer.headers["retry-after"]) == (503, "store_unavailable", "1")
        assert http.get(port, "/db/k").json() == 1
        assert http.get(admin, "/readyz").status == 503
        resource.prlimit(database.pid, resource.RLIMIT_FSIZE, (hard, hard))
        # nobody writes meanwhile
        deadline = time.monotonic() + 10
        while http.get(admin, "/readyz").status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert http.put(port, "/db/k", json=2).status == 200


def test_a_client_that_goes_away_in_the_middle_of_its_body_leaves_nothing(tmp_path: Path) -> None:
    with start(tmp_path) as database:
        port = database.wait_listening()
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"PUT /db/half HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n12345")
        assert http.get(port, "/db/half").status == 404
        assert "Traceback" not in database.output


def test_a_second_server_on_the_same_file_ends_with_one_line(tmp_path: Path) -> None:
    with start(tmp_path) as first:
        port = first.wait_listening()
        with start(tmp_path) as second:
            assert second.wait() != 0
            assert f"is in use by process {first.pid}" in second.stderr
            assert "Traceback" not in second.output
            assert len(second.stderr.strip().splitlines()) == 1
        assert http.get(port, "/db").status == 200


@pytest.mark.parametrize("store", ["sqlite:/proc/x/db", "sqlite:/proc/db"])
def test_a_file_that_cannot_be_written_ends_it_with_one_line(store: str) -> None:
    with Process.start("scalelab-database", "--store", store) as database:
        assert database.wait() != 0
        assert database.stderr.startswith("scalelab-database: ")
        assert len(database.stderr.strip().splitlines()) == 1


def test_a_taken_port_ends_it_with_one_line(tmp_path: Path) -> None:
    with start(tmp_path) as first:
        port = first.wait_listening()
        second = Process.start("scalelab-database", "--store", f"sqlite:{tmp_path / 'other'}", listen=f"127.0.0.1:{port}")
        with second:
            assert second.wait() != 0
            assert f"cannot listen on 127.0.0.1:{port}" in second.stderr
            assert len(second.stderr.strip().splitlines()) == 1
