"""Purging over HTTP: who may, what is purged, what is nonsense."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from klein import Klein
from twisted.internet.task import Clock

from scalability.api.admin_token import AdminToken
from scalability.gateway.http_cache.counts import CacheCounts
from scalability.gateway.http_cache.purging import AT_ONCE, PAUSE_S, WAITING, add_purging, key_of
from scalability.gateway.http_cache.store import PURGE_PIECE, AnswerStore
from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.testing.asking import Asking, Exchange
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
        self.store = AnswerStore(max_bytes=20_000_000, max_object_bytes=1000)
        self.store.put(b"http shop /a?b=c", answer(b"t"), NOW)
        self.store.put(b"http shop /p/1", answer(b"t", b"u"), NOW)
        self.store.put(b"http other /p/1", answer(), NOW)
        self.clock = Clock()
        self.clock.advance(NOW)
        app = Klein()
        add_purging(app, self.store, CacheCounts(), AdminToken(file), self.clock)
        self.client = Asking(app, self.clock)

    def begin(self, body: Any, token: str | None = TOKEN) -> Exchange:
        return self.client.send("POST", "/purge", json=body, headers={} if token is None else {"Authorization": f"Bearer {token}"})

    def purge(self, body: Any, token: str | None = TOKEN) -> Answer:
        exchange = self.begin(body, token)
        for _ in range(100):
            if exchange.answered:
                break
            self.clock.advance(PAUSE_S)
        return exchange.answer

    def fill(self, count: int) -> None:
        for number in range(count):
            self.store.put(b"http many /%d" % number, answer(b"m"), NOW)


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


@pytest.mark.parametrize("wanted", [{"prefix": "http://many/"}, {"tag": "m"}, {"prefix": "http://many/", "soft": True}])
def test_many_are_purged_in_pieces(tmp_path: Path, wanted: dict[str, Any]) -> None:
    scene = Scene(tmp_path)
    scene.fill(5 * PURGE_PIECE)
    exchange = scene.begin(wanted)
    purged = []
    while not exchange.answered:
        purged.append(scene.store.counts.purged)
        scene.clock.advance(PAUSE_S)
    assert exchange.answer.json()["purged"] == 5 * PURGE_PIECE
    assert len(purged) > 4
    assert max(after - before for before, after in pairwise(purged)) <= PURGE_PIECE
    assert len(scene.store.resources) == 3 + (5 * PURGE_PIECE if wanted.get("soft") else 0)


def test_a_caller_that_leaves_ends_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.fill(5 * PURGE_PIECE)
    exchange = scene.begin({"tag": "m"})
    exchange.leave()
    for _ in range(20):
        scene.clock.advance(PAUSE_S)
    assert 0 < scene.store.counts.purged < 5 * PURGE_PIECE
    scene.purge({"tag": "m"})
    assert scene.store.counts.purged == 5 * PURGE_PIECE, "the next one finds what was left"


def test_more_purges_than_may_wait_are_refused(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.fill(5 * PURGE_PIECE)
    exchanges = [scene.begin({"all": True}) for _ in range(AT_ONCE + WAITING + 1)]
    assert exchanges[-1].answer.status == 503
    while not exchanges[-2].answered:
        scene.clock.advance(PAUSE_S)
    assert {exchange.answer.status for exchange in exchanges[:-1]} == {200}
