"""The command line of lbctl, in front of a balancer that the test plays."""

import http.server
import json
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from scalability.balancer.control import FINE, REFUSED, TOKEN_FILE, UNREACHABLE, USAGE, main
from scalability.balancer.status import status
from scalability.balancer.tables import servers_table
from scalability.balancer.use import ServerUse, Use
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec

TOKEN = "0123456789abcdef"


class Played:
    """Answers everything with ``answer``; ``asked`` has what came."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any, str]] = []
        self.answer: tuple[int, bytes] = (200, b"{}")
        played = self

        class Served(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                said = self.headers.get("Authorization", "")
                played.asked.append((self.command, self.path, json.loads(body) if body else None, said))
                self.send_response(played.answer[0])
                self.send_header("Content-Length", str(len(played.answer[1])))
                self.end_headers()
                self.wfile.write(played.answer[1])

            do_GET = do_PUT = do_POST = answer  # noqa: N815 - http.server's names

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
                """Nobody reads it."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Served)
        self.admin = f"127.0.0.1:{self.server.server_port}"

    def lbctl(self, *arguments: str, environ: dict[str, str] | None = None) -> tuple[int, str]:
        out = StringIO()
        return main(["--admin", self.admin, *arguments], out=out, environ=environ or {}), out.getvalue()


@pytest.fixture
def played() -> Iterator[Played]:
    made = Played()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def token(tmp_path: Path) -> str:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return str(tmp_path / "token")


def told() -> dict[str, Any]:
    class FakePool:
        pass

    pool: Any = FakePool()
    upstream = Upstream(RoundRobin, lambda _: pool)
    upstream.name_servers("c", [ServerSpec.parse("192.0.2.1:80,weight=3,maxconn=9"), ServerSpec.parse("192.0.2.200:8080")], trusted=True)
    upstream.set_weight(next(iter(upstream)), 0)
    uses = [
        Use(0, [ServerUse("192.0.2.1:80", 2, 1500, False, {"no_answer": 3}, answered=2, answered_s=0.5), ServerUse("gone:1", 1, 1, True)])
    ]
    return status(upstream, "round_robin", uses, 50.0)


def test_show_servers_prints_the_table_or_the_json(played: Played) -> None:
    played.answer = (200, json.dumps(told()).encode())
    assert played.lbctl("show", "servers") == (FINE, servers_table(told()) + "\n")
    code, printed = played.lbctl("--json", "show", "servers")
    assert (code, json.loads(printed)) == (FINE, told())
    assert played.asked == [("GET", "/servers", None, "")] * 2


def test_show_why_tells_each_attempt(played: Played) -> None:
    decisions = [
        {
            "at": 1.0,
            "server": "a:1",
            "reason": "chosen",
            "candidates": [{"server": "a:1", "weight": 2, "active": 10}],
            "candidates_in_all": 1,
        },
        {
            "at": 1.0,
            "server": "b:1",
            "reason": "odd",
            "worker": 2,
            "candidates": [{"server": "b:1", "weight": 1}],
            "candidates_in_all": 200,
        },
    ]
    played.answer = (200, json.dumps({"request_id": "a/b", "decisions": decisions}).encode())
    code, printed = played.lbctl("show", "why", "a/b")
    assert code == FINE
    assert played.asked == [("GET", "/why/a%2Fb", None, "")]
    assert printed.splitlines() == [
        "attempt 1: a:1, chosen by the algorithm",
        "  CANDIDATE  WEIGHT  ACTIVE",
        "  a:1             2      10",
        "attempt 2: b:1, odd, in worker 2",
        "  CANDIDATE  WEIGHT  ACTIVE",
        "  b:1             1       -",
        "  and 199 more",
    ]


@pytest.mark.parametrize(
    ("arguments", "path", "body"),
    [
        (("192.0.2.1:80", "state", "drain"), "/servers/192.0.2.1%3A80/state", {"state": "drain"}),
        (("[::1]:80", "weight", "0"), "/servers/%5B%3A%3A1%5D%3A80/weight", {"weight": 0}),
        (("a:1", "weight", "256"), "/servers/a%3A1/weight", {"weight": 256}),
        (("a:1", "weight", "default"), "/servers/a%3A1/weight", {"weight": None}),
    ],
)
def test_set_server_sends_the_token(played: Played, token: str, arguments: tuple[str, ...], path: str, body: Any) -> None:
    played.answer = (200, b'{"name": "a:1", "mode": "drain", "weight": 1, "configured_weight": 2}')
    expected = (FINE, "a:1: drain, weight 1 (configured 2)\n")
    assert played.lbctl("--token-file", token, "set", "server", *arguments) == expected
    assert played.lbctl("set", "server", *arguments, environ={TOKEN_FILE: token}) == expected
    assert played.asked == [("PUT", path, body, f"Bearer {TOKEN}")] * 2


def test_reload_says_what_came_of_it(played: Played, token: str) -> None:
    played.answer = (200, b'{"result": "changed", "what": "backend"}')
    assert played.lbctl("--token-file", token, "reload") == (FINE, "changed: backend\n")
    assert played.asked == [("POST", "/reload", None, f"Bearer {TOKEN}")]


def test_a_refusal_is_one_line_on_stderr(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    played.answer = (403, b'{"error": "forbidden", "message": "nothing can be changed here"}')
    assert played.lbctl("set", "server", "a:1", "state", "ready") == (REFUSED, "")
    assert capsys.readouterr().err == "lbctl: nothing can be changed here; give --token-file the balancer's --admin-token-file\n"


@pytest.mark.parametrize("answer", [b"<html>", b"\xff", b""])
def test_another_kind_of_server_is_recognised(played: Played, answer: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    played.answer = (200, answer)
    assert played.lbctl("show", "servers")[0] == UNREACHABLE
    assert "is not a balancer's admin listener" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"servers": 1}'])
def test_json_of_another_kind_of_server_too(played: Played, answer: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    played.answer = (200, answer)
    assert played.lbctl("show", "servers")[0] == UNREACHABLE
    assert "is not a balancer's admin listener" in capsys.readouterr().err


def test_where_nobody_listens_the_address_is_named(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    played.server.socket.close()
    assert played.lbctl("show", "servers")[0] == UNREACHABLE
    said = capsys.readouterr().err
    assert said.startswith(f"lbctl: no balancer answers at {played.admin}: ")
    assert said.count("\n") == 1


def test_a_token_file_that_cannot_be_read_is_named(played: Played, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert played.lbctl("--token-file", str(tmp_path / "none"), "reload")[0] == USAGE
    assert "none: No such file" in capsys.readouterr().err
    assert played.asked == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "VERB"),
        (["show"], "WHAT"),
        (["set", "server", "a:1", "state", "down"], "invalid choice: 'down'"),
        (["set", "server", "a:1", "weight", "257"], "neither 0 to 256 nor default"),
        (["set", "server", "a:1", "weight", "-1"], "-1"),
        (["--admin", "nowhere", "reload"], "is not HOST:PORT"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments, environ={})
    assert ended.value.code == USAGE
    said = capsys.readouterr().err
    assert why in said
    assert said.startswith("lbctl: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "path", "body"),
    [
        (("enable", "server", "a:1"), "/servers/a%3A1/state", {"state": "ready"}),
        (("disable", "server", "lb/a:1"), "/servers/a%3A1/state", {"state": "maint"}),
        (("set", "weight", "lb/a:1", "3"), "/servers/a%3A1/weight", {"weight": 3}),
        (("set", "weight", "a:1", "default"), "/servers/a%3A1/weight", {"weight": None}),
    ],
)
def test_haproxys_other_words_for_the_same_are_known(played: Played, token: str, words: tuple[str, ...], path: str, body: Any) -> None:
    played.answer = (200, b'{"name": "a:1", "mode": "maint", "weight": 1, "configured_weight": 2}')
    assert played.lbctl("--token-file", token, *words)[0] == FINE
    assert played.asked == [("PUT", path, body, f"Bearer {TOKEN}")]


@pytest.mark.parametrize("what", ["stat", "info", "errors"])
def test_all_that_is_shown_comes_from_one_answer(played: Played, what: str) -> None:
    played.answer = (200, json.dumps(told()).encode())
    code, printed = played.lbctl("show", what)
    assert code == FINE
    assert printed
    assert json.loads(played.lbctl("--json", "show", what)[1]) == told()
    played.answer = (200, b"{}")
    assert played.lbctl("show", what)[0] == UNREACHABLE


def test_show_servers_state_is_show_servers(played: Played) -> None:
    played.answer = (200, json.dumps(told()).encode())
    assert played.lbctl("show", "servers", "state") == played.lbctl("show", "servers")


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"], environ={})
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for verb in ("show", "set", "enable", "disable", "reload", "--json", "--token-file"):
        assert verb in said
