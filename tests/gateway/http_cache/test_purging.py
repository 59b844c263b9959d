"""Purging over HTTP: who may, what is purged, what is nonsense."""

from pathlib import Path
from typing import Any

import pytest
from klein import Klein
from twisted.internet.task import Clock

from scalability.api.admin_token import AdminToken
from scalability.gateway.http_cache.counts import CacheCounts
from scalability.gateway.http_cache.purging import add_purging, key_of
from scalability.gateway.http_cache.store import AnswerStore
from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.testing.asking import Asking
from scalability.testing.client import Answer

TOKEN = "0123456789abcdef"
NOW = 1e9


def answer(*tags: bytes) -> StoredAnswer:
    return StoredAnswer(
        status=200, reason=b"OK", fields=(), body=b"x", response_time_s=NOW, lifetime_s=60, etag=b'"a"', tags=frozenset(tags)
    )


class Scene:
    def __init__(self, folder: Path) -> None:
        file = folder / "token"
        file.write_text(TOKEN)
        self.store = AnswerStore(max_bytes=1_000_000, max_object_bytes=1000)
        self.store.put(b"http shop /a?b=c", answer(b"t"), NOW)
        self.store.put(b"http shop /p/1", answer(b"t", b"u"), NOW)
        self.store.put(b"http other /p/1", answer(), NOW)
        app = Klein()
        add_purging(app, self.store, CacheCounts(), AdminToken(file), lambda: NOW)
        self.client = Asking(app, Clock())

    def purge(self, body: Any, token: str | None = TOKEN) -> Answer:
        return self.client.ask("POST", "/purge", json=body, headers={} if token is None else {"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize(
    ("body", "purged"),
    [
        ({"url": "http://shop/a?b=c"}, 1),
        ({"url": "http://SHOP:80/a?b=c"}, 1),
        ({"url": "http://shop/a"}, 0),
        ({"url": "https://shop/a?b=c"}, 0),
        ({"prefix": "http://shop/p/"}, 1),
        ({"prefix": "http://shop"}, 2),
        ({"tag": "t"}, 2),
        ({"tag": "t", "soft": True}, 2),
        ({"all": True}, 3),
    ],
)
def test_what_is_named_is_purged(tmp_path: Path, body: dict[str, Any], purged: int) -> None:
    answer = Scene(tmp_path).purge(body)
    assert answer.status == 200
    assert answer.json() == {"purged": purged, "soft": body.get("soft", False)}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400), ({"url": "http://a/", "tag": "t"}, 400), ({"urls": "x"}, 400), ({"url": "/a"}, 422), ({"url": "ftp://a/"}, 422),
        ({"url": "http://a/ b"}, 422), ({"prefix": "http://me@a/"}, 422), ({"url": "http://a/\u00e9"}, 422), ([], 400),
    ],
)  # fmt: skip
def test_nonsense_is_told_so(tmp_path: Path, body: Any, status: int) -> None:
    scene = Scene(tmp_path)
    assert scene.purge(body).status == status
    assert len(scene.store.resources) == 3


def test_only_who_has_the_token_may(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert scene.purge({"all": True}, None).status == 401
    assert scene.purge({"all": True}, "fedcba9876543210").status == 401
    assert len(scene.store.resources) == 3


def test_anybody_may_look(tmp_path: Path) -> None:
    found = Scene(tmp_path).client.get("/http-cache").json()
    assert found["entries"] == 3


def test_the_key_of_a_url_is_the_one_that_requests_have() -> None:
    assert key_of("http://Shop:80/%7ea") == b"http shop /~a"
    assert key_of("https://shop") == b"https shop /"
