"""The balancer's admin calls: what is told to everybody, and what only who has the token may change."""

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from scalability.api.admin_token import AdminToken
from scalability.balancer.admin import admin_calls
from scalability.balancer.page import PAGE, POLICY
from scalability.balancer.use import ServerUse, Use
from scalability.testing.asking import Asking
from scalability.testing.client import Answer
from scalability.testing.upstreams import fake_pool
from scalability.upstream.selection import RoundRobin
from scalability.upstream.server import Mode
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec

NAME = "192.0.2.1:80"
TOKEN = "0123456789abcdef"


class Serving:
    """The processes that serve, as the test says."""

    def __init__(self) -> None:
        self.asked = 0
        self.decisions: dict[str, list[dict[str, Any]]] = {}
        self.wait: Deferred[None] | None = None

    async def uses(self) -> list[Use]:
        self.asked += 1
        if self.wait is not None:
            await self.wait
        return [Use(0, [ServerUse(NAME, 1, 20, False)])]

    async def why(self, request_id: str) -> list[dict[str, Any]]:
        return self.decisions.get(request_id, [])


class Scene:
    def __init__(self, folder: Path, *, token: bool = True, reload: tuple[str, str] | None = None, explained: int = 1000) -> None:
        self.clock = Clock()
        self.upstream = Upstream(RoundRobin, fake_pool, seconds=self.clock.seconds)
        self.upstream.name_servers("c", [ServerSpec.parse(f"{NAME},weight=3"), ServerSpec.parse("[2001:db8::1]:80")], trusted=True)
        self.server = next(iter(self.upstream))
        self.serving = Serving()
        self.reloads = 0
        file = folder / "token"
        file.write_text(TOKEN)

        async def reloaded() -> tuple[str, str]:
            assert reload is not None
            self.reloads += 1
            return reload

        app = admin_calls(
            self.upstream,
            self.serving,
            AdminToken(file if token else None),
            algorithm="round_robin",
            wall=lambda: 1.7e9,
            explained=explained,
            reload=None if reload is None else reloaded,
        )
        self.client = Asking(app, self.clock)

    def put(self, path: str, body: Any, token: str | None = TOKEN) -> Answer:
        return self.client.ask("PUT", path, json=body, headers={} if token is None else {"Authorization": f"Bearer {token}"})


def test_the_servers_are_told_to_everybody(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    answer = scene.client.get("/servers")
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    told = answer.json()
    assert (told["at"], told["algorithm"]) == (1.7e9, "round_robin")
    assert [(server["name"], server["requests"]) for server in told["servers"]] == [(NAME, 20), ("[2001:db8::1]:80", 0)]


def test_one_server_is_told_by_its_name(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert scene.client.get(f"/servers/{NAME}").json()["active"] == 1
    assert scene.client.get("/servers/%5B2001:db8::1%5D:80").json()["name"] == "[2001:db8::1]:80"
    asked = scene.serving.asked
    answer = scene.client.get("/servers/192.0.2.9:80")
    assert (answer.status, answer.json()["error"]) == (404, "not_found")
    assert "192.0.2.9:80" in answer.json()["message"]
    assert scene.serving.asked == asked, "no process is asked about a server that is not there"


def test_a_server_that_goes_while_the_processes_are_asked_is_not_found(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.serving.wait = Deferred()
    exchange = scene.client.send("GET", f"/servers/{NAME}")
    scene.upstream.name_servers("c", [], trusted=True)
    scene.serving.wait.callback(None)
    assert exchange.answer.status == 404


def test_an_operator_sets_a_servers_state(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    for state in ("drain", "maint", "ready"):
        answer = scene.put(f"/servers/{NAME}/state", {"state": state})
        assert (answer.status, answer.json()) == (200, {"name": NAME, "mode": state, "weight": 3, "configured_weight": 3})
        assert scene.server.mode is Mode(state)


def test_an_operator_sets_a_servers_weight_and_gives_it_back(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    for weight in (0, 256):
        assert scene.put(f"/servers/{NAME}/weight", {"weight": weight}).json()["weight"] == weight
        assert scene.server.weight == weight
    assert scene.put(f"/servers/{NAME}/weight", {"weight": None}).json()["weight"] == 3


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("state", {"state": "down"}),
        ("state", {}),
        ("state", {"state": "drain", "more": 1}),
        ("weight", {"weight": 257}),
        ("weight", {"weight": -1}),
        ("weight", {"weight": 1.5}),
        ("weight", {"weight": "1"}),
        ("weight", {}),
        ("weight", []),
    ],
)
def test_what_cannot_be_set_is_answered_400_and_changes_nothing(tmp_path: Path, what: str, body: Any) -> None:
    scene = Scene(tmp_path)
    answer = scene.put(f"/servers/{NAME}/{what}", body)
    assert (answer.status, answer.json()["error"]) == (400, "bad_json")
    assert (scene.server.mode, scene.server.weight) == (Mode.READY, 3)


def test_nothing_is_changed_without_the_token(tmp_path: Path) -> None:
    scene = Scene(tmp_path, reload=("changed", "x"))
    for token in (None, "wrong-wrong-wrong", ""):
        for path, body in ((f"/servers/{NAME}/state", {"state": "drain"}), (f"/servers/{NAME}/weight", {"weight": 0})):
            answer = scene.put(path, body, token)
            assert (answer.status, answer.json()["error"], answer.headers["www-authenticate"]) == (401, "unauthorized", "Bearer")
    assert scene.client.post("/reload").status == 401
    assert (scene.server.mode, scene.server.weight, scene.reloads) == (Mode.READY, 3, 0)


def test_without_a_token_file_the_answer_says_what_to_configure(tmp_path: Path) -> None:
    scene = Scene(tmp_path, token=False)
    answer = scene.put(f"/servers/{NAME}/state", {"state": "drain"})
    assert (answer.status, answer.json()["error"]) == (403, "forbidden")
    assert "--admin-token-file" in answer.json()["message"]


def test_who_has_no_token_does_not_learn_which_servers_there_are(tmp_path: Path) -> None:
    assert Scene(tmp_path).put("/servers/192.0.2.9:80/state", {"state": "drain"}, None).status == 401
    assert Scene(tmp_path).put("/servers/192.0.2.9:80/state", {"state": "drain"}).status == 404


@pytest.mark.parametrize("path", [f"/servers/{NAME}/state", f"/servers/{NAME}/weight", "/reload"])
def test_reading_changes_nothing(tmp_path: Path, path: str) -> None:
    scene = Scene(tmp_path, reload=("changed", "x"))
    assert scene.client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status == 405
    assert scene.reloads == 0


def test_a_request_is_explained(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.serving.decisions = {"abc": [{"server": NAME}], "a/b": [{"server": NAME}]}
    assert scene.client.get("/why/abc").json() == {"request_id": "abc", "decisions": [{"server": NAME}]}
    assert scene.client.get("/why/a%2Fb").status == 200


def test_one_that_is_not_remembered_is_answered_404_with_the_reason(tmp_path: Path) -> None:
    answer = Scene(tmp_path).client.get("/why/abc")
    assert answer.status == 404
    assert "the last 1000 attempts" in answer.json()["message"]
    assert "X-Request-Id" in answer.json()["message"]
    assert "--explained-requests 0" in Scene(tmp_path, explained=0).client.get("/why/abc").json()["message"]


def test_a_reload_says_what_came_of_it(tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    scene = Scene(tmp_path, reload=("changed", "backend"))
    assert scene.client.post("/reload", headers=headers).json() == {"result": "changed", "what": "backend"}
    answer = Scene(tmp_path, reload=("refused", "[lb] ttl: there is no such key")).client.post("/reload", headers=headers)
    assert (answer.status, answer.json()["message"]) == (422, "the configuration is not changed: [lb] ttl: there is no such key")
    assert Scene(tmp_path).client.post("/reload", headers=headers).status == 404


def test_the_page_comes_under_its_policy(tmp_path: Path) -> None:
    answer = Scene(tmp_path).client.get("/")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, PAGE, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"] == POLICY.decode()
    assert (answer.headers["x-content-type-options"], answer.headers["referrer-policy"]) == ("nosniff", "no-referrer")
