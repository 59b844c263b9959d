"""The page: everything of the document is on it, as text; it loads nothing; a browser shows it under its policy."""

import copy
import http.server
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.openapi.page import POLICY, STYLE, page
from scalability.testing.api_document import SHOP

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def shown(**info: Any) -> str:
    document = copy.deepcopy(SHOP)
    document["info"] = {**document["info"], **info}
    return page(document).decode()


def test_every_operation_parameter_answer_and_object_is_on_it() -> None:
    text = shown()
    for path, item in SHOP["paths"].items():
        for method in set(item) - {"parameters"}:
            assert f'<span class="method {method}">{method}</span> <span class="path">' in text
        assert re.sub(r"\{(\w+)\}", r"<var>{\1}</var>", path) in text
    for word in ("limit", "minimum 1", "It is taken.", "array of", "Order", "Item", "maxLength 20", "string or null", "required"):
        assert word in text, word
    for anchor in re.findall(r'href="#([^"]*)"', text):
        assert f'id="{anchor}"' in text, anchor


def test_methods_of_which_the_same_is_told_stand_together() -> None:
    told = {"summary": "The same.", "responses": {}}
    every = dict.fromkeys(("get", "head", "post", "put", "patch", "delete", "options"), told)
    text = page({"info": {"title": "A", "version": "1"}, "paths": {"/a": every, "/b": {"get": told, "put": told, "post": {}}}}).decode()
    assert text.count("The same.") == 3
    assert '<span class="method any">any</span>' in text
    assert "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" in text
    assert '<h2><span class="method put">put</span>' in text


@given(st.text(max_size=30))
def test_no_text_becomes_markup(words: str) -> None:
    hostile = f"<script>\"{words}'</style>&"
    document = {
        "info": {"title": hostile, "version": hostile},
        "paths": {
            "/" + hostile: {
                "get": {
                    "summary": hostile,
                    "description": hostile,
                    "security": [{hostile: []}],
                    "parameters": [{"name": hostile, "in": hostile, "description": hostile, "schema": {"type": hostile, hostile: hostile}}],
                    "requestBody": {"content": {hostile: {"schema": {"properties": {hostile: {"$ref": hostile}}, "required": [hostile]}}}},
                    "responses": {hostile: {"description": hostile, "content": {hostile: {"schema": {"format": hostile}}}}},
                }
            }
        },
        "components": {"schemas": {hostile: {"description": hostile, "properties": {"a": {"items": {"type": hostile}, "type": "array"}}}}},
    }
    text = page(document).decode("utf-8", "surrogatepass")
    assert "<script" not in text
    assert text.count("</style>") == 1


def test_it_names_no_other_place_and_has_no_script_and_no_inline_style() -> None:
    text = shown()
    assert not re.search(r"(?:src|href)=[\"']?(?!data:,|#|openapi\.json)[^\"' >]", text)
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    for way in ("<script", " style=", " onclick"):
        assert way not in text


def test_its_policy_allows_its_own_style_alone() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == rules["frame-ancestors"] == "'none'"
    assert rules["style-src"].startswith("'sha256-")


class _Served(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = page(SHOP)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Nobody reads it."""


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_shows_it_under_its_policy(tmp_path: Path) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Served)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    picture = tmp_path / "docs.png"
    try:
        command = [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--enable-logging=stderr",
        ]
        command += [f"--user-data-dir={tmp_path}/profile", "--window-size=1200,900", f"--screenshot={picture}"]
        said = subprocess.run([*command, f"http://127.0.0.1:{server.server_port}/docs"], capture_output=True, text=True, timeout=60).stderr
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert "Content Security Policy" not in said
    assert picture.stat().st_size > 20_000, "a page without its style is white"
