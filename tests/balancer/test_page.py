"""The page: one file that brings all it needs, under a policy that lets nothing else in. Where Chromium is installed it is tried in it."""

import http.server
import json
import re
import shutil
import subprocess
import threading
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from scalability.balancer.page import PAGE, POLICY, policy_of

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def test_it_names_no_other_place() -> None:
    text = PAGE.decode()
    assert not re.search(r"(?:src|href)=[\"']?(?!data:,|/servers\")[^\"' >]", text)
    assert "//" not in re.sub(r"// .*", "", text), "no URL of another host"
    assert re.findall(r"fetch\(([^,)]+)", text) == ['"/servers"']


def test_nothing_that_is_told_becomes_markup() -> None:
    text = PAGE.decode()
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "onclick", "style="):
        assert way not in text


def test_its_policy_allows_its_own_script_and_style_alone() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.decode().split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == "'self'"
    assert rules["frame-ancestors"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in POLICY.decode()
    (script,) = re.findall(rb"<script>(.*?)</script>", PAGE, re.DOTALL)
    assert rules["script-src"] == f"'sha256-{b64encode(sha256(script).digest()).decode()}'"


def test_another_page_has_another_policy() -> None:
    assert policy_of(b"<script>1</script><style></style>") != policy_of(b"<script>2</script><style></style>")


def told() -> dict[str, Any]:
    """What ``/servers`` might say, with a name that would be markup."""
    server = {
        "name": "<b id=bold>10.0.0.1:80</b>", "state": "down", "mode": "drain", "weight": 0, "configured_weight": 3, "share": 0.4,
        "level": 1, "max_active": 8, "tls": "shop.example", "unreachable": True,
        "ejected": {"cause": "failures_in_a_row", "since": 90.0, "until": 130.0, "times": 2},
        "active": 4, "requests": 1234, "failures": {"no_answer": 5}, "connections": {"idle": 1, "busy": 4},
        "answers": {"count": 10, "seconds": 0.5}, "ewma_s": None,
        "breaker": {"state": "open", "requests": 20, "failures": 12, "opened": 1, "open_for_s": 7.0},
        "checks": {"passed": 1, "failed": 2, "went_down": 1, "last": "the check failed: <i>no_answer</i>",
                   "last_failure": None, "results": []},
    }  # fmt: skip
    leaving = {"name": "10.0.0.2:80", "state": "leaving", **{k: server[k] for k in server if k in LEAVING}}
    return {
        "at": 100.0, "algorithm": "peak_ewma", "panic": True, "workers": 2, "servers": [server, leaving],
        "queue": {"length": 3, "greatest": 9, "entered": 20, "refused": 1, "expired": 2, "limit": 100, "timeout_s": 5.0},
        "retries": {"attempts": 7, "allowed": 6, "denied": 1, "in_use": 1, "waiting": 0, "budget_percent": 20, "budget_least": 3},
        "shedding": {"fraction": 0.25, "lag_s": 0.15, "shed": 11},
        "tunnels": {"open": 2, "opened": {"websocket": 5}},
    }  # fmt: skip


LEAVING = ("active", "requests", "failures", "connections", "answers", "ewma_s", "breaker")


class _Served(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = self.path == "/"
        body = PAGE if page else json.dumps(told()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8" if page else "application/json")
        if page:
            self.send_header("Content-Security-Policy", POLICY.decode())
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Nobody reads it."""


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_shows_the_servers_and_their_names_as_text(tmp_path: Path) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Served)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        command += [f"--user-data-dir={tmp_path}", "--virtual-time-budget=2500", "--dump-dom", f"http://127.0.0.1:{server.server_port}/"]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert "&lt;b id=bold&gt;10.0.0.1:80&lt;/b&gt;" in shown
    assert 'id="bold"' not in shown
    assert "the check failed: &lt;i&gt;no_answer&lt;/i&gt;" in shown
    for badge in ("down", "drain", "ejected", "open", "leaving"):
        assert re.search(rf'<span class="badge \w+">{badge}</span>', shown), badge
    for text in ("Panic", "peak_ewma, 2 workers", "configured 3", "4 of 8", "no answer 5", "for 7.0", "0 of 2"):
        assert text in shown, text
