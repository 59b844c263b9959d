"""An operator and a balancer that works: servers are drained, weighed and explained while requests go on, by one process and by several."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalability.testing.client import Answer, HTTPClient
from scalability.testing.processes import CHECKOUT, Process
from tests.integration.test_workers import Load, until

Start = Callable[..., Process]
TOKEN = "a token that nobody knows".replace(" ", "-")
FAST = ("--health-interval", "0.2")


class House:
    """A balancer in front of three servers, with an operator who has the token."""

    def __init__(self, start: Start, http: HTTPClient, folder: Path, workers: int, *flags: str) -> None:
        self.http = http
        self.token = folder / "token"
        self.token.write_text(TOKEN + "\n")
        ports = [start("scalelab-microservice", "--service-time", "0.02").wait_listening() for _ in range(3)]
        self.names = [f"127.0.0.1:{port}" for port in ports]
        named = [flag for name in self.names for flag in ("--backend", name)]
        more = ("--workers", str(workers), "--admin-token-file", os.fspath(self.token), *FAST, *flags)
        self.process = start("scalelab-lb", "--admin", "127.0.0.1:0", *named, *more)
        self.front, self.admin = self.process.wait_listening(), self.process.wait_admin()
        for number in range(1, workers + 1) if workers > 1 else ():
            self.process.wait_for(f"worker {number} serves", timeout_s=40)
        until(lambda: all(server["state"] == "up" for server in self.servers().values()))

    def servers(self) -> dict[str, Any]:
        return {server["name"]: server for server in self.http.get(self.admin, "/servers").json()["servers"]}

    def put(self, name: str, key: str, value: Any, token: str = TOKEN) -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.http.put(self.admin, f"/servers/{name}/{key}", json={key: value}, headers=headers)

    def gets_nothing(self, name: str, load: Load) -> None:
        """Wait until the server has no request, and see that it gets none while others get many."""
        until(lambda: self.servers()[name]["active"] == 0)
        before, answered = self.servers()[name]["requests"], load.answered
        until(lambda: load.answered > answered + 100)
        assert self.servers()[name]["requests"] == before


@pytest.mark.parametrize("workers", [1, 2])
def test_servers_are_taken_out_and_back_under_load_without_a_failed_request(
    start: Start, http: HTTPClient, tmp_path: Path, workers: int
) -> None:
    house = House(start, http, tmp_path, workers)
    first, second, third = house.names
    with Load(house.front) as load:
        until(lambda: all(server["requests"] > 20 for server in house.servers().values()))
        for key, value, back in (("state", "drain", "ready"), ("state", "maint", "ready"), ("weight", 0, None)):
            assert house.put(first, key, value).status == 200
            house.gets_nothing(first, load)
            before = house.servers()[first]["requests"]
            assert house.put(first, key, back).status == 200
            until(lambda before=before: house.servers()[first]["requests"] > before + 20)  # type: ignore[misc]
        assert house.put(second, "weight", 8).json()["weight"] == 8
        told = house.servers()
        until(lambda: house.servers()[third]["requests"] > told[third]["requests"] + 20)
        now = house.servers()
        assert now[second]["requests"] - told[second]["requests"] > 4 * (now[third]["requests"] - told[third]["requests"])
    assert load.failures == []
    assert now[second]["answers"]["count"] > 0
    assert now[second]["answers"]["seconds"] / now[second]["answers"]["count"] > 0.02


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_is_explained_by_whoever_served_it(start: Start, http: HTTPClient, tmp_path: Path, workers: int) -> None:
    house = House(start, http, tmp_path, workers)
    for _ in range(6):
        request_id = http.get(house.front, "/process").headers["x-request-id"]
        answer = http.get(house.admin, f"/why/{request_id}")
        assert answer.status == 200, answer.text
        (decision,) = answer.json()["decisions"]
        assert decision["server"] in house.names
        assert [candidate["server"] for candidate in decision["candidates"]] == house.names
        assert decision.get("worker", 1) in range(1, workers + 1)
    unknown = http.get(house.admin, "/why/never-seen")
    assert (unknown.status, unknown.json()["error"]) == (404, "not_found")


@pytest.mark.parametrize("workers", [1, 2])
def test_what_decided_and_what_was_tried_before_is_told(start: Start, http: HTTPClient, tmp_path: Path, workers: int) -> None:
    house = House(start, http, tmp_path, workers, "--algorithm", "peak_ewma")
    for _ in range(6):
        request_id = http.get(house.front, "/process").headers["x-request-id"]
        (decision,) = http.get(house.admin, f"/why/{request_id}").json()["decisions"]
        one, other = decision["drawn"]
        assert {one["server"], other["server"]} <= set(house.names)
        assert one["server"] != other["server"]
        assert decision["server"] == (one if one["score"] <= other["score"] else other)["server"]
        assert decision["tried"] == []


@pytest.mark.parametrize("workers", [1, 2])
def test_what_an_operator_has_set_outlives_the_process_in_a_file(start: Start, http: HTTPClient, tmp_path: Path, workers: int) -> None:
    kept = ("--state-file", os.fspath(tmp_path / "state"))
    house = House(start, http, tmp_path, workers, *kept)
    first, second, _ = house.names
    assert house.put(first, "state", "maint").status == 200
    assert house.put(second, "weight", 7).status == 200
    house.process.stop()
    flags = [flag for name in house.names for flag in ("--backend", name)]
    again = start("scalelab-lb", "--admin", "127.0.0.1:0", "--workers", str(workers), *kept, *flags)
    admin = again.wait_admin()
    told = {server["name"]: server for server in http.get(admin, "/servers").json()["servers"]}
    assert (told[first]["mode"], told[second]["weight"]) == ("maint", 7)


def test_nothing_changes_without_the_token_and_a_new_one_counts_at_once(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    house = House(start, http, tmp_path, 1)
    first = house.names[0]
    assert house.put(first, "state", "drain", "").status == 401
    assert house.put(first, "state", "drain", "wrong-wrong-wrong-wrong").status == 401
    assert house.servers()[first]["mode"] == "ready"
    house.token.write_text("another-token-another-token")
    assert house.put(first, "state", "drain").status == 401
    assert house.put(first, "state", "drain", "another-token-another-token").status == 200
    assert house.servers()[first]["mode"] == "drain"
    house.token.unlink()
    assert house.put(first, "state", "ready", "another-token-another-token").status == 403
    assert TOKEN not in house.process.output
    assert "another-token" not in house.process.output


def test_the_command_shows_and_sets(start: Start, run: Callable[..., Process], http: HTTPClient, tmp_path: Path) -> None:
    house = House(start, http, tmp_path, 1)
    first = house.names[0]

    def lbctl(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "tools/lbctl.py", "--admin", f"127.0.0.1:{house.admin}", *arguments]
        process = run(*command, cwd=CHECKOUT, parent_pipe=False)
        return process.wait(timeout_s=30), process.output

    code, table = lbctl("show", "servers")
    assert code == 0
    assert [line.split()[:3] for line in table.splitlines()[1:4]] == [[name, "up", "ready"] for name in house.names]
    assert lbctl("set", "server", first, "state", "drain")[0] == 1
    token = ("--token-file", os.fspath(house.token))
    assert lbctl(*token, "set", "server", first, "state", "drain") == (0, f"{first}: drain, weight 1 (configured 1)\n")
    code, printed = lbctl("--json", "show", "servers")
    assert json.loads(printed)["servers"][0]["mode"] == "drain"
    request_id = http.get(house.front, "/process").headers["x-request-id"]
    assert "chosen by the algorithm" in lbctl("show", "why", request_id)[1]


def test_an_admin_listener_for_everybody_needs_a_token_file(start: Start, tmp_path: Path) -> None:
    process = start("scalelab-lb", "--admin", "0.0.0.0:0", "--check-config")
    assert process.wait() == 1
    assert "--admin-token-file" in process.output
    token = tmp_path / "token"
    token.write_text("short")
    process = start("scalelab-lb", "--admin", "0.0.0.0:0", "--admin-token-file", os.fspath(token), "--check-config")
    assert process.wait() == 1
    assert "at least 16 characters" in process.output
    assert "short" not in process.output
